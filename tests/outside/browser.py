"""A real browser, and pictures to show it."""

import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome"]
PACKAGES = ["chromium", "fonts-dejavu-core"]
# As root in a container there is neither a sandbox nor a large /dev/shm.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def find() -> str | None:
    """The path of a Chromium; installs Debian's where that is possible."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *command], env=environment, stdout=subprocess.DEVNULL)
    return shutil.which("chromium")


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
