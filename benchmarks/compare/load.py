"""Load by wrk: the bodies that it posts, and what it reports."""

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from peers.peers import Body
from peers.servers import Server

SCRIPT = Path(__file__).with_name("post.lua")


class Bodies:
    """What is posted, in a folder that wrk reads."""

    def __init__(self, folder: Path, bodies: list[Body]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.first = bodies[0]
        paths = [folder / f"{index}.body" for index in range(len(bodies))]
        for path, body in zip(paths, bodies, strict=True):
            path.write_bytes(body.data)
        (folder / "bodies").write_text("".join(f"{path}\n" for path in paths))
        (folder / "headers").write_text("".join(f"{line}\n" for line in self.first.headers))

    def answer(self, url: str) -> object:
        """What the server says to the first picture."""
        headers = dict(line.split(": ", 1) for line in self.first.headers)
        with urllib.request.urlopen(urllib.request.Request(url, self.first.data, headers), timeout=60) as response:
            return json.load(response)


@dataclass(frozen=True)
class Load:
    clients: int
    seconds: int


def drive(url: str, bodies: Bodies, load: Load) -> dict:
    """One run of wrk, whose clients each wait for their answer."""
    command = ["wrk", f"--threads={min(load.clients, 2)}", f"--connections={load.clients}", f"--duration={load.seconds}s",
               "--timeout=120s", f"--script={SCRIPT}", url, "--", str(bodies.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(lines[0])


def measure(server: Server, url: str, bodies: Bodies, load: Load) -> dict:
    """A run, with what the server used for it; memory is that of the moment when half of it is over."""
    memory = []
    reading = threading.Timer(load.seconds / 2, lambda: memory.append(server.proportional_mib()))
    reading.start()
    cpu = server.cpu_seconds()
    row = drive(url, bodies, load)
    cpu = server.cpu_seconds() - cpu
    reading.join()
    answered = row["requests"] - row["statuses"]
    if not answered:
        sys.exit(f"error: {url} answered none of {row['requests']} requests well: {row}")
    return row | {"per_second": answered / row["seconds"], "cpu_ms": 1000 * cpu / answered,
                  "memory_mib": max(memory), "peak_mib": server.peak_mib()}
