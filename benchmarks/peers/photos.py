"""Pictures to send: a folder of the user's, or ones made here, at sizes that a case asks for."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# Noise, blurred, has about as many bytes as a photo of its size.
SYNTHETIC = """
import sys
import numpy as np
from PIL import Image, ImageFilter
for index in range(40):
    noise = np.random.default_rng(index).integers(0, 256, (375, 500, 3), np.uint8)
    Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).save(f"{sys.argv[1]}/{index:02}.jpg", quality=92)
"""

# With grain as a sensor has it; a picture that was made larger has far fewer bytes than one that was taken.
RESIZED = """
import sys
import numpy as np
from PIL import Image
folder, width, height, grain, *photos = sys.argv[1:]
for index, photo in enumerate(photos):
    picture = Image.open(photo).convert("RGB").resize((int(width), int(height)), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(index).normal(0, 1, (int(height), int(width), 1)).astype(np.float32)
    pixels = np.clip(np.asarray(picture) + int(grain) * noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(f"{folder}/{index:02}.jpg", quality=90)
"""


def synthetic(folder: Path, python: Path) -> Path:
    """Forty pictures of 500x375."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-c", SYNTHETIC, folder], check=True)
    return folder


@dataclass(frozen=True)
class Version:
    """How pictures are made anew; grain in levels."""

    python: Path
    size: tuple[int, int]
    grain: int


def resized(photos: list[Path], folder: Path, version: Version) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [version.python, "-c", RESIZED, folder, *version.size, version.grain, *photos]
    subprocess.run([str(part) for part in command], check=True)
    return listed(folder)


def listed(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())
