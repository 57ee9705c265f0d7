"""Times decode, resize, crop and normalise of the same files here and in Pillow, by turns.

    python -m venv venv && venv/bin/pip install -r tests/reference/requirements-preprocess.txt
    venv/bin/python benchmarks/preprocess/compare.py PHOTO.jpg…

Builds examples/preprocess_speed.rs in release mode, makes versions of the photos of 500x375 and 4000x3000
in a temporary folder, and prints medians of user CPU time for a picture, which other load on the machine
disturbs least, and their ratios.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks/peers"))
from pixels import cropped  # noqa: E402

SIZES = {"500x375": ((500, 375), 60), "4000x3000": ((4000, 3000), 6)}
TURNS = 7
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def with_pillow(path):
    pixels = cropped(Image.open(path), 256, 224)
    return np.ascontiguousarray(((pixels / np.float32(255) - MEAN) / STD).transpose(2, 0, 1))


def cpu_seconds(who, work):
    before = resource.getrusage(who).ru_utime
    work()
    return resource.getrusage(who).ru_utime - before


def time_size(program, files, rounds):
    """Medians of milliseconds for a picture: here, in Pillow."""
    command = [str(program), str(rounds), *map(str, files)]
    here, pillow = [], []
    for _ in range(TURNS):
        work = lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        here.append(cpu_seconds(resource.RUSAGE_CHILDREN, work))
        work = lambda: [with_pillow(file) for _ in range(rounds) for file in files]
        pillow.append(cpu_seconds(resource.RUSAGE_SELF, work))
    pictures = rounds * len(files) / 1000
    return statistics.median(here) / pictures, statistics.median(pillow) / pictures


def versions(photos, folder, size):
    for index, photo in enumerate(photos):
        path = folder / f"{size[0]}-{index}.jpg"
        Image.open(photo).convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path)
        yield path


def main():
    build = ["cargo", "build", "--release", "--example", "preprocess_speed"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = ROOT / "target/release/examples/preprocess_speed"
    with tempfile.TemporaryDirectory() as folder:
        times = {}
        for name, (size, rounds) in SIZES.items():
            files = list(versions(sys.argv[1:], Path(folder), size))
            times[name] = here, pillow = time_size(program, files, rounds)
            print(f"{name}: {here:.2f} ms here, {pillow:.2f} ms in Pillow, ratio {here / pillow:.2f}")
        (small, small_pillow), (large, _) = times.values()
        print(f"4000x3000 here costs {large / small:.1f} of 500x375 here, {large / small_pillow:.1f} of Pillow's")


if __name__ == "__main__":
    main()
