"""What every case needs: the options, the pictures, the models, the peers that can be had, and how one is measured."""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from in_venv import environment
from peers import photos
from peers.peers import PEERS, Body, Peer, raw
from peers.servers import BINARY, ROOT, NotReady, Server, resnet_serve

from compare.load import Bodies, Load, measure

HERE = Path(__file__).resolve().parent
MADE = ROOT / "target/benchmarks"
OURS = "resnet-serve"
WARM_UP = 2  # seconds
SETTLE = 1  # seconds, in which a server is through with what the clients of the warm-up left behind
TRIES = 3
TIMES_AS_LONG = 3  # as other measurements
APART = 0.001  # in the probability of one picture


@dataclass(frozen=True)
class Contestant:
    """A server that can be started again and again, and how it takes a picture."""

    start: Callable[[Path], Server]
    encode: Callable[[bytes], Body]

    @contextmanager
    def running(self, model: Path) -> Iterator[Server]:
        """Started again where it fails: PyTriton loses a race with itself now and then."""
        with ExitStack() as ends:
            for left in reversed(range(TRIES)):
                try:
                    server = ends.enter_context(self.start(model))
                    break
                except NotReady:
                    if not left:
                        raise
            yield server


THIS_SERVER = Contestant(resnet_serve, raw)


def predictions(answer: dict) -> list[dict]:
    """Of this server, for one picture."""
    return answer["results"][0]["predictions"]


def apart(who: str, ours: list[dict], theirs: list[dict], most: float = APART) -> float:
    """How far their probabilities of the best class are from ours: the median over pictures; another class is 1 apart.

    Ends the run where that is more than `most`.
    """
    differences = [abs(our["probability"] - their["probability"]) if our["class"] == their["class"] else 1.0
                   for our, their in zip(ours, theirs, strict=True)]
    found = statistics.median(differences)
    if found > most:
        sys.exit(f"error: {who} says {theirs[0]} where this server says {ours[0]}; the median of {len(ours)} is {found:.3g} "
                 f"apart, and {most:g} would do: they do not do the same work")
    return found


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.left_out: dict[str, str] = {}
        self.agreed: dict[str, float] = {}

    @cached_property
    def python(self) -> Path:
        """Has what the loops without a server need."""
        folder = environment(HERE / "requirements.txt")
        if folder is None:
            sys.exit("error: the Python packages for the comparison cannot be installed")
        return folder / "bin/python"

    @cached_property
    def photos(self) -> list[Path]:
        return photos.listed(self.options.photos or photos.synthetic(MADE / "photos", self.python))

    def photos_of(self, size: tuple[int, int], grain: int) -> list[Path]:
        """Eight of them in another size."""
        folder = MADE / f"photos-{size[0]}x{size[1]}-{grain}"
        return photos.resized(self.photos[:8], folder, photos.Version(self.python, size, grain))

    @cached_property
    def contestants(self) -> dict[str, Contestant]:
        """This server, and every peer that starts and answers as it does."""
        found = {OURS: THIS_SERVER}
        for peer in PEERS:
            if self.options.peers and peer.name not in self.options.peers:
                continue
            programs = peer.programs()
            if programs is None:
                self.left_out[peer.name] = "its packages cannot be installed here"
                continue
            contestant = Contestant(lambda model, peer=peer, programs=programs: peer.start(programs, model), peer.encode)
            if self.agrees(peer, contestant):
                found[peer.name] = contestant
        return found

    def agrees(self, peer: Peer, contestant: Contestant) -> bool:
        """One picture through the default model here and there: the same class and the same probability.

        Not through random weights, to which a picture upside down or in other colours is nearly the same.
        """
        try:
            theirs = self.best_classes(contestant, peer.best, self.default, self.photos[:1])
        except (NotReady, urllib.error.URLError) as cause:
            self.left_out[peer.name] = "it does not start or answer here"
            print(f"{peer.name} is left out: {cause}", flush=True)
            return False
        self.agreed[peer.name] = apart(peer.name, self.our_best, theirs)
        return True

    @cached_property
    def our_best(self) -> list[dict]:
        return self.best_classes(THIS_SERVER, predictions, self.default, self.photos[:1])

    def best_classes(self, contestant: Contestant, best: Callable[[Any], list[dict]], model: Path, pictures: list[Path]) -> list[dict]:
        """The first of what a server says of each picture; `best` finds that in an answer."""
        with contestant.running(model) as server:
            return [best(self.bodies([contestant.encode(picture.read_bytes())]).answer(server.url))[0] for picture in pictures]

    @cached_property
    def commit(self) -> str:
        with resnet_serve(self.trivial) as server:
            return server.commit()

    @cached_property
    def resnet50(self) -> Path:
        return self.network("resnet50")

    @cached_property
    def trivial(self) -> Path:
        folder = MADE / "models/trivial"
        script = HERE / "trivial.py"
        subprocess.run([self.python, script, folder, ROOT / "models/resnet50/labels.tsv"], check=True)
        return folder

    @cached_property
    def default(self) -> Path:
        return ROOT / "models" / (ROOT / "models/default").read_text().strip()

    def network(self, name: str) -> Path:
        """One of the paper's, with random weights, which take as long as trained ones."""
        folder = MADE / "models" / name
        if not folder.exists():
            subprocess.run([BINARY, "model", "build", name, "-o", folder], check=True, stdout=subprocess.DEVNULL)
        return folder

    def bodies(self, bodies: list[Body]) -> Bodies:
        return Bodies(MADE / "bodies", bodies)

    def serve(self, contestant: Contestant, model: Path, pictures: list[Path], load: Load) -> dict:
        """One trial: a fresh server, warmed up and then measured."""
        bodies = self.bodies([contestant.encode(picture.read_bytes()) for picture in pictures])
        with contestant.running(model) as server:
            return self.loaded(server, server.url, bodies, load)

    def loaded(self, server: Server, url: str, bodies: Bodies, load: Load) -> dict:
        """What a server does that has been warmed up."""
        replace(load, seconds=WARM_UP).drive(url, bodies)
        time.sleep(SETTLE)
        return measure(server, url, bodies, load)

    def load(self, clients: int = 0) -> Load:
        """As the options say, or with so many clients."""
        return Load(clients or self.options.clients, self.options.seconds)

    def longer_load(self) -> Load:
        """Where five seconds would not tell enough."""
        return replace(self.load(), seconds=TIMES_AS_LONG * self.options.seconds)

    def reference(self, what: str, model: Path, *flags: object) -> dict:
        """One trial of a loop without a server."""
        command = [self.python, HERE / "reference.py", what, "--model", model, "--seconds", self.options.seconds, *flags]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"error: {done.stderr}")
        return json.loads(done.stdout)
