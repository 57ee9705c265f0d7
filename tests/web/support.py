"""A real service, a real browser, and pictures for them."""

import json
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target/test-web"
BINARY = Path(os.environ.get("RESNET_SERVE_BINARY", ROOT / "target/debug/resnet-serve"))
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
PACKAGES = ["chromium", "fonts-dejavu-core"]
# As root in a container there is neither a sandbox nor a large /dev/shm.
BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def browser() -> str | None:
    """The path of a Chromium; installs Debian's where that is possible."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *command], env=environment, stdout=subprocess.DEVNULL)
    return shutil.which("chromium")


def untrained_model() -> Path:
    """A network with random weights, built when it is first needed."""
    folder = FOLDER / "untrained"
    if not (folder / "model.toml").is_file():
        subprocess.run([BINARY, "model", "build", "cifar-resnet20", "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


class Service:
    """The binary on free ports; ready when it is there."""

    def __init__(self, *flags: str | Path):
        listeners = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0",
                     "--log-format=json"]
        self.process = subprocess.Popen([BINARY, "serve", *listeners, *flags], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        addresses = {}
        seen = []
        for text in self.process.stderr:
            seen.append(text)
            line = json.loads(text) if text.startswith("{") else {}
            if line.get("message") == "listening":
                addresses[line["listener"]] = line["address"]
            if line.get("message") == "ready":
                break
        else:
            raise AssertionError(f"the service did not start:\n{''.join(seen)}")
        self.url = f"http://{addresses['public']}/"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def png(folder: Path, name: str, color: tuple[int, int, int], size: tuple[int, int] = (120, 90)) -> Path:
    """A picture of one colour with a lighter stripe, written without a library."""
    width, height = size
    light = bytes(min(255, channel + 60) for channel in color)
    row = lambda y: b"\0" + (light if y // 8 % 2 else bytes(color)) * width
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(map(row, range(height))))
    path = folder / name
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path
