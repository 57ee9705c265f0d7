"""Starts the servers that are compared, waits until they answer, and reads what they use."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / "target/release/resnet-serve"
LOAD = ROOT / "target/release/examples/load"
LAYOUT = ("sessions", "intra_threads", "max_batch")
PATIENCE = 120  # seconds until a server must be ready


def build() -> None:
    """This server and the client in `examples/load`."""
    subprocess.run(["make", "--no-print-directory", "build"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--example", "load"], cwd=ROOT, check=True)


def end_on_sigterm() -> None:
    """So that a run that is told to end takes its servers with it, as one that is interrupted does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))


def load_client(url: str, photos: Path, *flags: object) -> dict:
    """What the client in `examples/load` reports of one run."""
    command = [str(part) for part in (LOAD, url, "--photos", photos, *flags)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url: str) -> tuple[int, str]:
    """Status and text; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


class NotReady(SystemExit):
    """Ends the run where nobody knows better; not to be mistaken for the end that a signal asks for."""


@dataclass
class Server:
    """A running server. Its processes form a session of their own, which ends with it."""

    command: list[str]
    url: str
    ready_url: str
    load_flags: list[str] = field(default_factory=list)
    metrics_url: str = ""
    # Where it takes the network's own tensors, by the Open Inference Protocol.
    tensors_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    # How long it may take to end by itself; some leave shared memory behind when they are killed.
    farewell: float = 0

    def __enter__(self) -> "Server":
        self.log = tempfile.TemporaryFile("w+")
        begin = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"} | self.environment,
            cwd=self.folder,
        )
        try:
            self.wait_until_ready(begin + PATIENCE)
        except BaseException:
            # Whatever ends the wait, an interruption too: nobody else would end the process.
            self.__exit__()
            raise
        self.seconds_to_ready = time.monotonic() - begin
        return self

    def wait_until_ready(self, deadline: float) -> None:
        while get(self.ready_url)[0] != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise NotReady(f"error: did not become ready: {' '.join(self.command)}\n{self.log.read()[-2000:]}")
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        found = {pid: started(pid) for pid in self.processes()}
        if self.farewell:
            self.process.terminate()
            try:
                self.process.wait(self.farewell)
            except subprocess.TimeoutExpired:
                pass
        for pid in self.processes():
            found.setdefault(pid, started(pid))
        for pid, start in found.items():
            # A process that has ended in the meantime may have left its number to another one.
            if start and started(pid) == start:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def layout(self) -> dict[str, int]:
        """How resnet-serve has laid out its work, from the line that says so."""
        self.log.seek(0)
        line = next(line for line in self.log if "model loaded" in line)
        return {name: int(re.search(rf"{name}.*?=.*?(\d+)", line)[1]) for name in LAYOUT}

    def processes(self) -> list[int]:
        """The server's process, its session and their children, whatever sessions these have made."""
        parents_and_sessions = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            fields = read(entry).rpartition(")")[2].split()
            if fields:
                parents_and_sessions[int(entry.parent.name)] = int(fields[1]), int(fields[3])
        found = {pid for pid, (_, session) in parents_and_sessions.items() if session == self.process.pid}
        while more := {pid for pid, (parent, _) in parents_and_sessions.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def peak_mib(self) -> float:
        """The most resident memory that each of its processes has had."""
        return self.sum_of_kib("status", "VmHWM:") / 1024

    def proportional_mib(self) -> float:
        """Resident memory with every page counted once, whoever shares it."""
        return self.sum_of_kib("smaps_rollup", "Pss:") / 1024

    def sum_of_kib(self, file: str, name: str) -> int:
        texts = (read(Path(f"/proc/{pid}/{file}")) for pid in self.processes())
        return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith(name))

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        stats = (read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() for pid in self.processes())
        ticks = sum(int(fields[11]) + int(fields[12]) for fields in stats if fields)
        return ticks / os.sysconf("SC_CLK_TCK")

    def series(self, name: str, labels: str = "") -> float:
        """What resnet-serve's metrics say of a name and its labels, as in `{stage="decode"}`."""
        for line in get(self.metrics_url)[1].splitlines():
            if line.startswith(f"{name}{labels} "):
                return float(line.rpartition(" ")[2])
        raise KeyError(name + labels)

    def stage(self, name: str) -> tuple[float, float]:
        """Seconds in a stage of resnet-serve so far, and images."""
        labels = f'{{stage="{name}"}}'
        seconds, images = (self.series(f"resnet_serve_stage_duration_seconds_{part}", labels) for part in ("sum", "count"))
        return seconds, images

    def commit(self) -> str:
        """Of which resnet-serve was built, which need not be what is checked out."""
        found = re.search(r'^resnet_serve_build_info\{.*commit="([^"]*)"', get(self.metrics_url)[1], re.MULTILINE)
        return found[1] if found else "unknown"


def resnet_serve(model: Path, flags: list[str] | None = None, wrapper: list[str] | None = None) -> Server:
    public, admin = free_port(), free_port()
    addresses = [f"--listen=127.0.0.1:{public}", f"--admin-listen=127.0.0.1:{admin}", "--grpc-listen=127.0.0.1:0"]
    return Server(
        command=[*(wrapper or []), str(BINARY), "serve", "--model", str(model), *addresses, *(flags or [])],
        url=f"http://127.0.0.1:{public}/classify",
        ready_url=f"http://127.0.0.1:{admin}/ready",
        metrics_url=f"http://127.0.0.1:{admin}/metrics",
        tensors_url=f"http://127.0.0.1:{public}/v2/models/{model.name}/infer",
    )


def started(pid: int) -> str:
    """When a process began, in ticks; empty where there is none."""
    fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if fields else ""


def read(file: Path) -> str:
    """Nothing where the process has ended."""
    try:
        return file.read_text()
    except OSError:
        return ""
