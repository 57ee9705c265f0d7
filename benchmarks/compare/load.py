"""Load on a server: the bodies that are posted, and what the client reports."""

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from peers.peers import Body
from peers.servers import Server, load_client

SCRIPT = Path(__file__).with_name("post.lua")


class Bodies:
    """What is posted, in a folder that the clients read."""

    def __init__(self, folder: Path, bodies: list[Body]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.files = folder / "bodies"
        self.files.mkdir(parents=True)
        self.first = bodies[0]
        paths = [self.files / f"{index:03}" for index in range(len(bodies))]
        for path, body in zip(paths, bodies, strict=True):
            path.write_bytes(body.data)
        (folder / "paths").write_text("".join(f"{path}\n" for path in paths))
        (folder / "headers").write_text("".join(f"{line}\n" for line in self.first.headers))

    def answer(self, url: str) -> object:
        """What the server says to the first picture."""
        headers = dict(line.split(": ", 1) for line in self.first.headers)
        with urllib.request.urlopen(urllib.request.Request(url, self.first.data, headers), timeout=60) as response:
            return json.load(response)


@dataclass(frozen=True)
class Load:
    """Clients that each wait for their answer before they ask again, by wrk. Those that wait at its end get none."""

    clients: int
    seconds: int

    def drive(self, url: str, bodies: Bodies) -> dict:
        threads = min(self.clients, 2)
        command = ["wrk", f"--threads={threads}", f"--connections={self.clients}", f"--duration={self.seconds}s",
                   "--timeout=120s", f"--script={SCRIPT}", url, "--", str(bodies.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            sys.exit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
        return json.loads(lines[0])


class WaitingLoad(Load):
    """The same by `examples/load`, which waits for every answer; for pictures as raw bodies."""

    def drive(self, url: str, bodies: Bodies) -> dict:
        found = load_client(url, bodies.files, "--clients", self.clients, "--duration", self.seconds)
        failed = found["not_connected"] + found["lost"]
        statuses = found["requests"] - failed - found["answered_in_time"]
        return {"requests": found["requests"] - failed, "seconds": found["seconds"], "statuses": statuses, "failed": failed,
                "p50_ms": found["answers_ms"]["p50"], "p99_ms": found["answers_ms"]["p99"]}


def measure(server: Server, url: str, bodies: Bodies, load: Load) -> dict:
    """A run, with what the server used for it; memory is that of the moment when half of it is over."""
    memory = []
    reading = threading.Timer(load.seconds / 2, lambda: memory.append(server.proportional_mib()))
    reading.start()
    cpu = server.cpu_seconds()
    row = load.drive(url, bodies)
    cpu = server.cpu_seconds() - cpu
    reading.join()
    answered = row["requests"] - row["statuses"]
    if not answered:
        sys.exit(f"error: {url} answered none of {row['requests']} requests well: {row}")
    return row | {"per_second": answered / row["seconds"], "cpu_ms": 1000 * cpu / answered,
                  "memory_mib": max(memory), "peak_mib": server.peak_mib()}
