"""What NVIDIA's decoder for JPEG makes of a folder of photos, beside this program's on the CPU.

    pip install nvidia-nvjpeg nvidia-cuda-runtime pillow numpy
    python3 benchmarks/nvjpeg.py --photos DIR

Pictures a second from memory to pixels in memory, the time of the cores for each, and how far the pixels are from
libjpeg-turbo's, for each of nvJPEG's ways, number of threads and size of batch. Each thread has a decoder of its own.
"""

import argparse
import ctypes
import io
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ctypes import byref, c_int, c_size_t, c_uint, c_void_p
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy
from PIL import Image as Pillow

from peers.photos import listed
from peers.servers import ROOT

# nvjpeg.h
INTERPOLATING, RGB_INTERLEAVED, COMPONENTS = 1 << 5, 5, 4
# The implementation and its flags. What has its colours whole, 4:4:4, looks the same without interpolation.
WAYS = {"Huffman on the CPU": (1, INTERPOLATING), "all on the GPU": (2, INTERPOLATING), "the GPU's own unit": (3, INTERPOLATING),
        "the GPU's own unit, nothing interpolated": (3, 0)}
STATUS = {2: "invalid parameter", 3: "bad JPEG", 4: "JPEG not supported", 5: "out of memory", 6: "execution failed",
          7: "not on this GPU", 8: "internal error", 9: "not implemented", 10: "incomplete"}
# driver_types.h
TO_HOST = 2
ON_THE_CPU = ROOT / "target/release/examples/preprocess_speed"


class Image(ctypes.Structure):
    _fields_ = [("channel", c_void_p * COMPONENTS), ("pitch", c_size_t * COMPONENTS)]


class Failed(Exception):
    pass


def library(name: str) -> ctypes.CDLL:
    """From the package that pip installed, or from where the loader looks."""
    places = [Path(place) / "nvidia" for place in sys.path]
    found = [str(file) for place in places for file in sorted(place.glob(f"**/lib/{name}.so.*"))]
    for candidate in [*found, f"{name}.so.13", f"{name}.so.12", f"{name}.so"]:
        try:
            return ctypes.CDLL(candidate)
        except OSError:
            continue
    sys.exit(f"error: {name} is not installed: pip install nvidia-nvjpeg nvidia-cuda-runtime")


class Decoder:
    """One state of nvJPEG with its stream, and memory for a batch here and on the device; for one thread."""

    def __init__(self, nvjpeg: ctypes.CDLL, cuda: ctypes.CDLL, way: tuple[int, int]) -> None:
        implementation, flags = way
        self.nvjpeg, self.cuda = nvjpeg, cuda
        self.handle, self.state, self.stream = c_void_p(), c_void_p(), c_void_p()
        check("nvjpegCreateEx", nvjpeg.nvjpegCreateEx(implementation, None, None, c_uint(flags), byref(self.handle)))
        check("nvjpegJpegStateCreate", nvjpeg.nvjpegJpegStateCreate(self.handle, byref(self.state)))
        check("cudaStreamCreate", cuda.cudaStreamCreate(byref(self.stream)))
        self.capacity, self.device, self.host, self.batch = 0, c_void_p(), c_void_p(), 0

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.cuda.cudaFree(self.device)
        self.cuda.cudaFreeHost(self.host)
        self.nvjpeg.nvjpegJpegStateDestroy(self.state)
        self.nvjpeg.nvjpegDestroy(self.handle)
        self.cuda.cudaStreamDestroy(self.stream)

    def decode(self, photos: list[bytes]) -> list[tuple[int, int, int]]:
        """Where each picture's pixels start in `host`, its height and its width."""
        sizes = [self.size(photo) for photo in photos]
        ends = list(itertools.accumulate(3 * height * width for height, width in sizes))
        starts = [0, *ends[:-1]]
        self.reserve(ends[-1])
        images = (Image * len(photos))()
        for image, start, (_, width) in zip(images, starts, sizes, strict=True):
            image.channel[0], image.pitch[0] = self.device.value + start, 3 * width
        if len(photos) == 1:
            done = self.nvjpeg.nvjpegDecode(self.handle, self.state, photos[0], c_size_t(len(photos[0])), RGB_INTERLEAVED,
                                            images, self.stream)
            check("nvjpegDecode", done)
        else:
            self.decode_batch(photos, images)
        check("cudaMemcpyAsync", self.cuda.cudaMemcpyAsync(self.host, self.device, c_size_t(ends[-1]), TO_HOST, self.stream))
        check("cudaStreamSynchronize", self.cuda.cudaStreamSynchronize(self.stream))
        return [(start, *size) for start, size in zip(starts, sizes, strict=True)]

    def decode_batch(self, photos: list[bytes], images: ctypes.Array) -> None:
        if self.batch != len(photos):
            self.batch = len(photos)
            begun = self.nvjpeg.nvjpegDecodeBatchedInitialize(self.handle, self.state, self.batch, 1, RGB_INTERLEAVED)
            check("nvjpegDecodeBatchedInitialize", begun)
        data = (ctypes.c_char_p * len(photos))(*photos)
        lengths = (c_size_t * len(photos))(*map(len, photos))
        check("nvjpegDecodeBatched", self.nvjpeg.nvjpegDecodeBatched(self.handle, self.state, data, lengths, images, self.stream))

    def size(self, photo: bytes) -> tuple[int, int]:
        count, subsampling, widths, heights = c_int(), c_int(), (c_int * COMPONENTS)(), (c_int * COMPONENTS)()
        check("nvjpegGetImageInfo", self.nvjpeg.nvjpegGetImageInfo(
            self.handle, photo, c_size_t(len(photo)), byref(count), byref(subsampling), widths, heights))
        return heights[0], widths[0]

    def reserve(self, size: int) -> None:
        if size <= self.capacity:
            return
        self.cuda.cudaFree(self.device)
        self.cuda.cudaFreeHost(self.host)
        self.capacity = 2 * size
        check("cudaMalloc", self.cuda.cudaMalloc(byref(self.device), c_size_t(self.capacity)))
        check("cudaMallocHost", self.cuda.cudaMallocHost(byref(self.host), c_size_t(self.capacity)))

    def pixels(self, start: int, size: int) -> bytes:
        return ctypes.string_at(self.host.value + start, size)


def check(what: str, status: int) -> None:
    if status:
        reason = STATUS.get(status, "unknown") if what.startswith("nvjpeg") else "of CUDA"
        raise Failed(f"{what}: error {status}, {reason}")


@dataclass(frozen=True)
class Trial:
    """So many threads, each with batches of its own, for so many seconds."""

    photos: list[bytes]
    threads: int
    batch: int
    seconds: float

    def run(self, start: Callable[[], Decoder]) -> str:
        with ExitStack() as ends:
            decoders = [ends.enter_context(start()) for _ in range(self.threads)]
            replace(self, seconds=self.seconds / 4).decode(decoders)  # to warm up
            began, used = time.monotonic(), sum(os.times()[:2])
            count = self.decode(decoders)
            took, used = time.monotonic() - began, sum(os.times()[:2]) - used
        return f"{count / took:,.0f} images/s, {1000 * used / count:.2f} ms of a core each"

    def decode(self, decoders: list[Decoder]) -> int:
        """How many pictures were decoded."""
        end = time.monotonic() + self.seconds

        def work(index: int) -> int:
            count, first = 0, index * len(self.photos) // self.threads
            while time.monotonic() < end:
                decoders[index].decode([self.photos[(first + count + one) % len(self.photos)] for one in range(self.batch)])
                count += self.batch
            return count

        with ThreadPoolExecutor(self.threads) as pool:
            return sum(pool.map(work, range(self.threads)))


def apart(start: Callable[[], Decoder], photos: list[bytes]) -> str:
    """The mean and the largest difference to libjpeg-turbo's pixels, of 255."""
    differences = []
    with start() as decoder:
        for photo in photos:
            ((place, height, width),) = decoder.decode([photo])
            found = numpy.frombuffer(decoder.pixels(place, 3 * height * width), numpy.uint8).reshape(height, width, 3)
            differences.append(numpy.abs(found.astype(int) - numpy.asarray(Pillow.open(io.BytesIO(photo)).convert("RGB"))))
    return f"{numpy.mean([one.mean() for one in differences]):.2f} levels on average, {max(one.max() for one in differences)} at most"


def on_the_cpu(photos: list[Path], threads: int) -> float:
    """Pictures a second that this program decodes, resizes and packs with so many threads."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--example", "preprocess_speed"], cwd=ROOT, check=True)
    running = [subprocess.Popen([ON_THE_CPU, "10", *photos], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
    lasts = [float(process.communicate()[0].split()[-1]) for process in running]
    return sum(1000 / milliseconds for milliseconds in lasts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of JPEG pictures")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (default: %(default)s)")
    options = parser.parse_args()
    paths = listed(options.photos)
    photos = [path.read_bytes() for path in paths]
    nvjpeg, cuda = library("libnvjpeg"), library("libcudart")
    cores, devices = len(os.sched_getaffinity(0)), c_int()
    if cuda.cudaGetDeviceCount(byref(devices)) or not devices.value:
        sys.exit("error: there is no GPU that CUDA can use")
    print(f"{len(photos)} photos of {sum(map(len, photos)) / len(photos) / 1000:.0f} kB on average, {cores} cores")
    print(f"on the CPU, resized and packed as well, {cores} threads: {on_the_cpu(paths, cores):,.0f} images/s", flush=True)
    for name, way in WAYS.items():
        start = partial(Decoder, nvjpeg, cuda, way)
        attempt(f"{name}, apart from libjpeg-turbo", partial(apart, start, photos))
        for threads, batch in itertools.product(sorted({1, 4, cores}), (1, 8, 32)):
            trial = Trial(photos, threads, batch, options.seconds)
            attempt(f"{name}, {threads} threads, batches of {batch}", partial(trial.run, start))


def attempt(what: str, measured: Callable[[], str]) -> None:
    """One line, also where it does not work."""
    try:
        said = measured()
    except Failed as failure:
        said = str(failure)
    print(f"{what}: {said}", flush=True)


if __name__ == "__main__":
    main()
