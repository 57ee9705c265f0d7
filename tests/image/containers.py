"""Runs the image in a container as the manifest would, and asks it things."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "scripts"))
import debian

FOLDER = ROOT / "target/test-image"
IMAGE = "localhost/resnet-serve:test"
TOOLS = ["buildah", "podman", "runc", "mmdebstrap"]
PACKAGES = [*TOOLS, "uidmap", "catatonit", "netavark"]
# Without systemd, and on machines whose cgroups are a mixture of both versions.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
# What the manifest says about the container, in podman's words.
LOCKED_DOWN = ["--read-only", "--read-only-tmpfs=false", "--user=10001:10001", "--cap-drop=ALL",
               "--security-opt=no-new-privileges"]


@dataclass
class Container:
    """One that runs, with the ports that it listens on."""

    name: str
    public: int
    admin: int
    flags: list[str] = field(default_factory=list)

    def wait_until_ready(self) -> float:
        """Seconds that it took."""
        started = time.monotonic()
        while not answers(f"http://127.0.0.1:{self.admin}/ready"):
            if not self.runs():
                sys.exit(f"FAILED: {self.name} has ended:\n{self.logs()}")
            expect(time.monotonic() - started < 120, "it becomes ready within two minutes")
            time.sleep(0.05)
        return time.monotonic() - started

    def classify(self, body: bytes) -> dict:
        with urllib.request.urlopen(self.url(), body) as answer:
            return json.load(answer)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.public}/classify"

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics") as answer:
            return answer.read().decode()

    def logs(self) -> str:
        done = subprocess.run([*tool("podman"), "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr

    def runs(self) -> bool:
        return podman("inspect", "--format={{.State.Running}}", self.name).strip() == "true"

    def exit_code(self) -> int:
        return int(podman("inspect", "--format={{.State.ExitCode}}", self.name))


@contextlib.contextmanager
def running(container: Container) -> Iterator[Container]:
    """Starts it on the host's network, so that its loopback is this machine's."""
    listen = [f"--env=RESNET_SERVE_LISTEN=127.0.0.1:{container.public}",
              f"--env=RESNET_SERVE_ADMIN_LISTEN=127.0.0.1:{container.admin}", "--env=RESNET_SERVE_GRPC_LISTEN=127.0.0.1:0",
              "--env=RESNET_SERVE_LOG_FORMAT=json"]
    named = ["--detach", f"--name={container.name}", "--network=host"]
    remove(container.name)
    try:
        podman("run", *named, *LOCKED_DOWN, *listen, *container.flags, IMAGE)
        yield container
    finally:
        remove(container.name)


def remove(name: str) -> None:
    command = [*tool("podman"), "rm", "--force", "--ignore", "--time=0", name]
    subprocess.run(command, capture_output=True, check=False)


def prepare() -> str | None:
    """Installs what is missing; says why containers cannot be run here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    if not Path("/etc/apt/sources.list.d/debian.sources").exists():
        return "makes its base images of Debian's packages"
    if missing := debian.missing(TOOLS, PACKAGES):
        return f"{', '.join(missing)} cannot be installed"
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "containers.conf").write_text(CONTAINERS_CONF)
    os.environ["CONTAINERS_CONF"] = str(FOLDER / "containers.conf")
    return None


def tool(program: str) -> list[str]:
    """Both tools share a store of their own."""
    return [program, "--storage-driver=overlay", f"--root={FOLDER}/store", f"--runroot={FOLDER}/run"]


def podman(*arguments: str) -> str:
    # Its monitor leaves a file where it stands when the system kills a container for its memory.
    done = subprocess.run([*tool("podman"), *arguments], capture_output=True, text=True, cwd=FOLDER)
    if done.returncode:
        sys.exit(f"error: podman {arguments[0]}: {done.stderr}")
    return done.stdout


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def png(width: int, height: int) -> bytes:
    """A picture of one colour, which takes little to send and all of its pixels to decode."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = (b"\0" + bytes([0, 160, 0]) * width) * height
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    parts = [len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
             for kind, body in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")
