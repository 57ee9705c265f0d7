"""Turn CIFAR-10's binary version into picture files in class folders, as train.py reads them."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy
from PIL import Image

RECORD_BYTES = 1 + 3 * 32 * 32  # the label, then a 32x32 plane each of red, green and blue


def main(arguments: Sequence[str] | None = None) -> None:
    """Write train/CLASS/NUMBER.png and test/CLASS/NUMBER.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the unpacked folder cifar-10-batches-bin")
    parser.add_argument("target", type=Path, help="folder to write; the --data of train.py")
    options = parser.parse_args(arguments)
    classes = (options.source / "batches.meta.txt").read_text().split()
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        files = sorted(options.source.glob(pattern))
        if not files:
            raise FileNotFoundError(f"{options.source} has no {pattern}")
        records = numpy.concatenate([numpy.fromfile(file, numpy.uint8) for file in files])
        write_split(records.reshape(-1, RECORD_BYTES), classes, options.target / split)


def write_split(records: numpy.ndarray, classes: list[str], target: Path) -> None:
    """records: (N, RECORD_BYTES) uint8. PNG, because JPEG would change the pixels."""
    counts = [0] * len(classes)
    for name in classes:
        (target / name).mkdir(parents=True, exist_ok=True)
    for record in records:
        label = int(record[0])
        pixels = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
        file = target / classes[label] / f"{counts[label]:04}.png"
        Image.fromarray(numpy.ascontiguousarray(pixels)).save(file)
        counts[label] += 1


if __name__ == "__main__":
    main()
