"""What the machine does without any server: loops of Pillow and of ONNX Runtime. Prints a row of JSON.

Run by the cases in an environment that has what the peers have.
"""

import argparse
import io
import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
import numpy as np  # noqa: E402
from classifier import Classifier  # noqa: E402


def pixels(options: argparse.Namespace) -> dict:
    """Threads that decode, resize and normalise."""
    classifier = Classifier(options.model)
    return in_threads(options, lambda: lambda picture: classifier.tensor(io.BytesIO(picture), options.in_full))


def loop(options: argparse.Namespace) -> dict:
    """Threads that also run the network, each in a session of its own."""

    def worker() -> Callable[[bytes], object]:
        classifier = Classifier(options.model, options.intra)
        return lambda picture: classifier.logits(classifier.tensor(io.BytesIO(picture))[None])

    return in_threads(options, worker)


def in_threads(options: argparse.Namespace, make: Callable[[], Callable[[bytes], object]]) -> dict:
    pictures = [photo.read_bytes() for photo in options.photos]
    works = [make() for _ in range(options.threads)]
    for work in works:
        work(pictures[0])
    counts = [0] * options.threads
    cpu = used()
    begin = time.monotonic()

    def repeat(index: int) -> None:
        for picture in islice(cycle(pictures), index * len(pictures) // options.threads, None):
            works[index](picture)
            counts[index] += 1
            if time.monotonic() - begin > options.seconds:
                return

    threads = [threading.Thread(target=repeat, args=[index]) for index in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    return {"per_second": sum(counts) / seconds, "cpu_ms": 1000 * (used() - cpu) / sum(counts), "peak_mib": peak_mib()}


def once(options: argparse.Namespace) -> dict:
    """One picture after another: how long decoding takes, and one run."""
    classifier = Classifier(options.model, options.intra)
    classifier.logits(np.zeros((1, 3, classifier.crop, classifier.crop), np.float32))
    decode, run = [], []
    end = time.monotonic() + options.seconds
    for photo in cycle(options.photos):
        picture = photo.read_bytes()
        start = time.perf_counter()
        tensor = classifier.tensor(io.BytesIO(picture))
        decoded = time.perf_counter()
        classifier.logits(tensor[None])
        decode.append(1000 * (decoded - start))
        run.append(1000 * (time.perf_counter() - decoded))
        if time.monotonic() > end:
            break
    both = [sum(pair) for pair in zip(decode, run, strict=True)]
    return {"p50_ms": statistics.median(both), "decode_ms": statistics.median(decode), "run_ms": statistics.median(run)}


def start(options: argparse.Namespace) -> dict:
    """As many sessions and threads as the server has, side by side, and the first runs of the same batches."""
    before = peak_mib()
    begin = time.monotonic()

    def one(_: int) -> Classifier:
        classifier = Classifier(options.model, options.intra)
        for batch in options.batches:
            classifier.logits(np.zeros((batch, 3, classifier.crop, classifier.crop), np.float32))
        return classifier

    with ThreadPoolExecutor(options.threads) as pool:
        sessions = list(pool.map(one, range(options.threads)))
    seconds = time.monotonic() - begin
    assert len(sessions) == options.threads
    return {"seconds_to_ready": seconds, "peak_mib": peak_mib(), "before_mib": before}


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mib() -> float:
    """`ru_maxrss` would count what the parent had before this program was loaded."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pixels", "loop", "once", "start"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, nargs="+", default=[])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--intra", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--in-full", action="store_true", help="no JPEG at a reduced scale (pixels)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    print(json.dumps(globals()[options.what](options)))


if __name__ == "__main__":
    main()
