"""What several tests share: a tiny data set on disk, and the flags that train on it."""

from pathlib import Path

import numpy
import pytest
from PIL import Image

CLASSES = ("circle", "square", "triangle")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three classes, each with 4 training and 2 validation pictures of 32x32 noise."""
    generator = numpy.random.default_rng(7)
    for split, count in (("train", 4), ("test", 2)):
        for name in CLASSES:
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=numpy.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def flags(data: Path) -> list[str]:
    """Train for four epochs of three steps, in float32: it is exact on every processor."""
    return [
        *("--data", str(data), "--device", "cpu", "--precision", "f32"),
        *("--epochs", "4", "--batch-size", "4", "--threads", "1"),
    ]
