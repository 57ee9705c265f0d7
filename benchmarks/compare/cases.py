"""The cases, each a function from the bench to rows by name."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from peers.peers import CORES, form
from peers.servers import BINARY, resnet_serve

from compare import tensors
from compare.allocators import allocators
from compare.bench import OURS, THIS_SERVER, Bench, Contestant
from compare.instructions import instructions
from compare.int8 import int8
from compare.load import Load, WaitingLoad, measure
from compare.profile import profile
from compare.telemetry import telemetry
from compare.trials import Rows, by_turns

CLIENTS = [1, 4, 16, 64, 256]
PAPERS = ["resnet34", "resnet50", "resnet101", "resnet152", "vgg19"]
SMALL, LARGE = (500, 375), (4000, 3000)
GRAIN = 4  # levels
FORMS = f"{OURS}, forms"
PILLOW = "Pillow alone"
PILLOW_IN_FULL = "Pillow alone, decoding in full"
BARE = "bare ONNX Runtime"


def front_end(bench: Bench) -> Iterator[Rows]:
    """(a) A network that costs nothing: what is left is the server."""
    turns = side_by_side(bench, bench.trivial, bench.photos)
    turns[FORMS] = serving(bench, replace(THIS_SERVER, encode=form("file")), bench.trivial, bench.photos)
    turns[PILLOW] = partial(bench.reference, "pixels", bench.trivial, "--photos", *bench.photos)
    return by_turns(bench.options.rounds, turns)


def resnet50(bench: Bench) -> Iterator[Rows]:
    """(b) ResNet-50, beside the same work without a server."""
    # What is under way when wrk leaves is not counted: of five seconds it would be a tenth.
    load = bench.longer_load()
    turns = {name: partial(bench.serve, contestant, bench.resnet50, bench.photos, load)
             for name, contestant in bench.contestants.items()}
    for threads, intra in {(CORES, 1), (1, CORES), (1, 1)}:
        name = f"bare loop, {threads}×{intra} threads"
        turns[name] = partial(bench.reference, "loop", bench.resnet50, "--threads", threads, "--intra", intra,
                              "--seconds", load.seconds, "--photos", *bench.photos)
    return by_turns(bench.options.rounds, turns)


def idle(bench: Bench) -> Iterator[Rows]:
    """(b) One client, beside decoding and one run."""
    turns: dict[str, Callable[[], dict]] = {}
    for intra in sorted({1, CORES}):
        flags = [f"--sessions={CORES // intra}", f"--intra-threads={intra}"]
        flagged = replace(THIS_SERVER, start=partial(resnet_serve, flags=flags))
        turns[f"resnet-serve, {intra}"] = partial(bench.serve, flagged, bench.resnet50, bench.photos, bench.load(1))
        turns[f"decode and run, {intra}"] = partial(bench.reference, "once", bench.resnet50, "--intra", intra, "--photos",
                                                    *bench.photos)
    return by_turns(bench.options.rounds, turns)


def default_model(bench: Bench) -> Iterator[Rows]:
    """(c) The model that is served where none is named."""
    return by_turns(bench.options.rounds, side_by_side(bench, bench.default, bench.photos))


def raw_tensors(bench: Bench) -> Iterator[Rows]:
    """(d) The network's own tensor, ready made, through the Open Inference Protocol."""
    turns = {f"{name}, {form}": partial(tensors.trial, bench, name, form)
             for name, form in tensors.TURNS if name in bench.contestants}
    return by_turns(bench.options.rounds, turns)


def large_photos(bench: Bench) -> Iterator[Rows]:
    """(e) Photos of 12 megapixels and the same ones of 500×375."""
    turns: dict[str, Callable[[], dict]] = {}
    for size, grain in ((SMALL, 0), (LARGE, 0), (LARGE, GRAIN)):
        pictures = bench.photos_of(size, grain)
        kind = f"{size[0]}×{size[1]}{' with grain' if grain else ''}"
        if grain or size == SMALL:
            turns |= {f"{name}, {kind}": turn for name, turn in side_by_side(bench, bench.trivial, pictures).items()}
        if grain:
            loop = partial(bench.reference, "pixels", bench.trivial)
            turns[f"{PILLOW}, {kind}"] = partial(loop, "--photos", *pictures)
            turns[f"{PILLOW_IN_FULL}, {kind}"] = partial(loop, "--in-full", "--photos", *pictures)
        turns[f"{OURS} decoding, {kind}"] = partial(decoding, bench, pictures)
    return by_turns(bench.options.rounds, turns)


def decoding(bench: Bench, pictures: list[Path]) -> dict:
    """What its own stage of decoding and resizing takes when nothing else goes on."""
    bodies = bench.bodies([THIS_SERVER.encode(picture.read_bytes()) for picture in pictures])
    with THIS_SERVER.start(bench.trivial) as server:
        Load(1, 1).drive(server.url, bodies)
        before = server.stage("decode")
        row = measure(server, server.url, bodies, bench.load(1))
        seconds, count = (after - earlier for after, earlier in zip(server.stage("decode"), before, strict=True))
    kilobytes = sum(len(picture.read_bytes()) for picture in pictures) / len(pictures) / 1000
    return row | {"decode_ms": 1000 * seconds / count, "kilobytes": kilobytes}


# 256 wait for ten seconds, so that few of them would ask twice in a shorter measurement.
SECONDS_OF_MANY = 20


def many_clients(bench: Bench) -> Iterator[Rows]:
    """(f) One client to 256, with ResNet-50."""
    # The clients ask again at once where they are refused, and not when `Retry-After` says so.
    patient = replace(THIS_SERVER, start=partial(resnet_serve, flags=["--request-timeout=60s"]))
    turns = {f"{OURS}, {clients}": partial(bench.serve, patient, bench.resnet50, bench.photos,
                                            WaitingLoad(clients, max(SECONDS_OF_MANY, bench.options.seconds)))
             for clients in CLIENTS}
    return by_turns(bench.options.rounds, turns)


def start(bench: Bench) -> Iterator[Rows]:
    """(g) From the command to the first answers, and the memory for it."""
    turns: dict[str, Callable[[], dict]] = {
        name: partial(start_of, contestant, bench.resnet50) for name, contestant in bench.contestants.items()}
    with THIS_SERVER.start(bench.resnet50) as server:
        layout = server.layout()
    # The batches that the server warms up with.
    most = layout["max_batch"]
    batches = sorted({most, *(2**power for power in range(most.bit_length()))})
    turns[BARE] = partial(bench.reference, "start", bench.resnet50, "--threads", layout["sessions"], "--intra",
                          layout["intra_threads"], "--batches", *batches)
    return by_turns(max(bench.options.rounds, 3), turns)


def start_of(contestant: Contestant, model: Path) -> dict:
    with contestant.running(model) as server:
        return {"seconds_to_ready": server.seconds_to_ready, "peak_mib": server.peak_mib(),
                "memory_mib": server.proportional_mib()}


def papers(bench: Bench) -> Iterator[Rows]:
    """(h) The paper's economy: time against multiply-adds."""
    turns = {name: partial(paper, bench, bench.network(name)) for name in PAPERS}
    return by_turns(bench.options.rounds, turns)


def paper(bench: Bench, model: Path) -> dict:
    """One client, so that a network has as many cores as one picture gets."""
    return bench.serve(THIS_SERVER, model, bench.photos, bench.load(1)) | {"giga_multiply_adds": multiply_adds(model) / 1e9}


def multiply_adds(model: Path) -> int:
    done = subprocess.run([BINARY, "model", "inspect", model, "--json"], capture_output=True, check=True)
    return json.loads(done.stdout)["multiply_adds"]


def side_by_side(bench: Bench, model: Path, pictures: list[Path]) -> dict[str, Callable[[], dict]]:
    return {name: serving(bench, contestant, model, pictures) for name, contestant in bench.contestants.items()}


def serving(bench: Bench, contestant: Contestant, model: Path, pictures: list[Path]) -> Callable[[], dict]:
    return partial(bench.serve, contestant, model, pictures, bench.load())


CASES: dict[str, Callable[[Bench], Iterator[Rows]]] = {
    "front-end": front_end, "resnet50": resnet50, "idle": idle, "default": default_model, "tensors": raw_tensors,
    "large": large_photos, "clients": many_clients, "start": start, "papers": papers, "int8": int8,
    "telemetry": telemetry, "instructions": instructions, "profile": profile, "allocators": allocators,
}
