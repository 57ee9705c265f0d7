"""Starts the servers that are compared, waits until they answer, and reads what they use."""

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
PATIENCE = 120  # seconds until a server must be ready


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


@dataclass
class Server:
    """A running server. Its processes form a session of their own, which ends with it."""

    command: list[str]
    url: str
    ready_url: str
    load_flags: list[str] = field(default_factory=list)
    metrics_url: str = ""

    def __enter__(self) -> "Server":
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            start_new_session=True,
            env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
        )
        end = time.monotonic() + PATIENCE
        while get(self.ready_url)[0] != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                sys.exit(f"error: did not become ready: {' '.join(self.command)}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def layout(self) -> dict[str, int]:
        """How resnet-serve has laid out its work, from the line that says so."""
        self.log.seek(0)
        line = next(line for line in self.log if "model loaded" in line)
        return {name: int(re.search(rf"{name}.*?=.*?(\d+)", line)[1]) for name in ("sessions", "intra_threads")}

    def processes(self) -> list[int]:
        """The server's process and its children's children."""
        listed = subprocess.run(["ps", "-s", str(self.process.pid), "-o", "pid="], capture_output=True, text=True)
        return [int(pid) for pid in listed.stdout.split()]

    def memory_mib(self) -> float:
        """Resident memory of all its processes."""
        total = 0
        for pid in self.processes():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return total / 1024

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        ticks = 0
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        for line in get(self.metrics_url)[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)


def resnet_serve(model: Path, flags: list[str] | None = None, wrapper: list[str] | None = None) -> Server:
    public, admin = free_port(), free_port()
    addresses = [f"--listen=127.0.0.1:{public}", f"--admin-listen=127.0.0.1:{admin}", "--grpc-listen=127.0.0.1:0"]
    return Server(
        command=[*(wrapper or []), str(BINARY), "serve", "--model", str(model), *addresses, *(flags or [])],
        url=f"http://127.0.0.1:{public}/classify",
        ready_url=f"http://127.0.0.1:{admin}/ready",
        metrics_url=f"http://127.0.0.1:{admin}/metrics",
    )


def litserve(python: Path, graph: Path, timeout: float) -> Server:
    port = free_port()
    peer = Path(__file__).with_name("litserve_peer.py")
    return Server(
        command=[str(python), str(peer), str(graph), str(port), str(timeout)],
        url=f"http://127.0.0.1:{port}/predict",
        ready_url=f"http://127.0.0.1:{port}/health",
        # It does not know `timeout_ms`, and takes pictures as forms.
        load_flags=["--no-query", "--form"],
    )
