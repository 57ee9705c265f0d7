"""The tables of benchmarks/GPU.md for the machine that this runs on.

    make build && make runtime FLAVOR=gpu
    python3 benchmarks/gpu.py --photos DIR

The bare loop needs Python's `onnxruntime-gpu` 1.31.1 and is left out without it.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from peers.servers import BINARY, ROOT, NotReady, Server, end_on_sigterm, load_client, resnet_serve

# In half precision from bytes, and as it is built by default.
MODELS = {"half": ["--precision", "fp16", "--input-type", "uint8"], "single": []}
DECODERS = ("cpu", "nvjpeg", "nvjpeg-fast")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# As the program tells CUDA.
SETTINGS = {"prefer_nhwc": "1", "fuse_conv_bias": "1"}
BARE_LOOP = """
import sys, time, json, numpy, onnxruntime
model, provider, settings, sizes, seconds = json.loads(sys.argv[1])
options = [("CUDAExecutionProvider", settings)] if provider == "cuda" else ["CPUExecutionProvider"]
for size in sizes:
    session = onnxruntime.InferenceSession(model, providers=options)
    if session.get_providers()[0] != (name := f"{provider.upper()}ExecutionProvider"):
        sys.exit(f"the onnxruntime of this Python has no {name}")
    kind = session.get_inputs()[0]
    element = numpy.uint8 if kind.type == "tensor(uint8)" else numpy.float32
    batch = numpy.random.default_rng(0).integers(0, 256, [size, *kind.shape[1:]]).astype(element)
    run = lambda: session.run([session.get_outputs()[0].name], {kind.name: batch})
    run()
    runs, started = 0, time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        run()
        runs += 1
    print(json.dumps([size, runs * size / passed]), flush=True)
"""


def main() -> None:
    options = parse()
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bins", "--example", "load"], cwd=ROOT, check=True)
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        models = {name: build(name, flags, Path(folder)) for name, flags in MODELS.items()}
        if "network" in options.parts:
            for name, model in models.items():
                network_alone(name, model, options)
        if "answers" in options.parts:
            answers(models, options)
        if "jpeg" in options.parts:
            from_jpeg(models["half"], options)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--provider", default="cuda", choices=["cuda", "tensorrt", "cpu"], help="default: %(default)s")
    parser.add_argument("--batch-sizes", type=numbers, default=[1, 8, 32, 128], metavar="N,…", help="default: 1,8,32,128")
    parser.add_argument("--clients", type=numbers, default=[1, 48, 64, 128], metavar="N,…", help="default: 1,48,64,128")
    parser.add_argument("--sessions", type=int, default=1, help="of the server that decodes JPEG (default: %(default)s)")
    parser.add_argument("--jpeg-threads", type=int, default=3, help="that feed the JPEG unit (default: %(default)s)")
    parser.add_argument("--decoders", type=lambda text: text.split(","), default=list(DECODERS), metavar="DECODER,…",
                        help="default: " + ",".join(DECODERS))
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["network", "answers", "jpeg"], metavar="PART,…",
                        help="default: network,answers,jpeg")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: %(default)s)")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def build(name: str, flags: list[str], folder: Path) -> Path:
    subprocess.run([BINARY, "model", "build", "resnet50", *flags, "-o", folder / name], check=True, capture_output=True)
    return folder / name


def network_alone(name: str, model: Path, options: argparse.Namespace) -> None:
    sizes = ",".join(map(str, options.batch_sizes))
    print(f"\n{name} precision, the network alone", flush=True)
    subprocess.run([BINARY, "bench", "--provider", options.provider, "--model", model, "--batch-sizes", sizes,
                    "--duration", f"{options.seconds / 2}s", "--rounds", "2"], cwd=ROOT, check=True)
    if options.provider == "tensorrt":
        return
    arguments = json.dumps([str(model / "model.onnx"), options.provider, SETTINGS, options.batch_sizes, options.seconds])
    bare = subprocess.run([sys.executable, "-c", BARE_LOOP, arguments], capture_output=True, text=True)
    if bare.returncode != 0:
        print(f"no bare loop of ONNX Runtime: {(bare.stderr.strip().splitlines() or ['it ended'])[-1]}")
    for line in bare.stdout.splitlines():
        size, rate = json.loads(line)
        print(f"bare loop of ONNX Runtime, batches of {size}: {rate:,.0f} images/s")


def answers(models: dict[str, Path], options: argparse.Namespace) -> None:
    """Each precision on the device beside single precision on the CPU."""
    expected = classify(models["single"], "cpu", options.photos)
    print()
    for name, model in models.items():
        compare(f"{name} precision", classify(model, options.provider, options.photos), expected)


def compare(what: str, found: list[dict], expected: list[dict]) -> None:
    pairs = list(zip(found, expected, strict=True))
    same = sum(one["class"] == other["class"] for one, other in pairs)
    apart = max(abs(one["probability"] / other["probability"] - 1) for one, other in pairs)
    print(f"{what}: {same} of {len(pairs)} pictures have the CPU's first class, probabilities {apart:.2%} apart at most")


def classify(model: Path, provider: str, photos: Path) -> list[dict]:
    """The first prediction of each picture."""
    command = [BINARY, "classify", "--model", model, "--provider", provider, "--json", *pictures(photos)]
    answered = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [result["predictions"][0] for result in json.loads(answered)["results"]]


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def from_jpeg(model: Path, options: argparse.Namespace) -> None:
    """What the server answers a second, with each decoder, and whether the answers are the same."""
    answered = {}
    with tempfile.TemporaryDirectory() as folder:
        sets = {"all": options.photos, "without the largest": without_the_largest(options.photos, Path(folder))}
        for decoder in options.decoders:
            try:
                flags = ["--provider", options.provider, "--jpeg-decoder", decoder, "--sessions", str(options.sessions),
                         "--jpeg-threads", str(options.jpeg_threads)]
                serving = resnet_serve(model, flags)
                serving.environment["RUST_LOG"] = "info,resnet_serve::jpeg_unit=debug"
                with serving as server:
                    print(f"\nJPEG decoded by {decoder}: ready after {server.seconds_to_ready:.1f} s", flush=True)
                    answered[decoder] = [ask(server.url, photo) for photo in pictures(options.photos)]
                    for (name, photos), clients in itertools.product(sets.items(), options.clients):
                        print(f"{name}, {rate(server, photos, clients, options)}", flush=True)
                    under_load(server.url, pictures(options.photos), answered[decoder])
                    if decoder != "cpu":
                        results = ("decoded", "broken", "failed")
                        counts = {result: unit_images(server, result) for result in results}
                        print(f"pictures that the unit was given: {counts}")
                        for reason, count in complaints(server).most_common(5):
                            print(f"{count} times: {reason}")
            except NotReady as cause:
                print(f"\nno JPEG decoded by {decoder}: {str(cause).strip().splitlines()[-1]}")
    for decoder in set(answered) - {"cpu"}:
        if "cpu" in answered:
            compare(f"with {decoder}", answered[decoder], answered["cpu"])


def under_load(url: str, photos: list[Path], alone: list[dict]) -> None:
    """Whether a photo has the same answer among many as alone."""
    rounds = 25
    with ThreadPoolExecutor(64) as pool:
        among_many = list(pool.map(partial(ask, url), photos * rounds))
    apart = [abs(one["probability"] / other["probability"] - 1) if one["class"] == other["class"] else 1
             for one, other in zip(among_many, alone * rounds, strict=True)]
    print(f"asked at the same time, {sum(one > 0.03 for one in apart)} of {len(apart)} answers are others than alone, "
          f"probabilities {max(apart):.2%} apart at most", flush=True)


def without_the_largest(photos: Path, folder: Path) -> Path:
    """Which is what the 99th percentile is of where there are less than a hundred."""
    largest = max(pictures(photos), key=lambda photo: photo.stat().st_size)
    for photo in pictures(photos):
        if photo != largest:
            (folder / photo.name).symlink_to(photo.resolve())
    return folder


def rate(server: Server, photos: Path, clients: int, options: argparse.Namespace) -> str:
    used, idle, began = server.cpu_seconds(), idle_seconds(), time.monotonic()
    found = load_client(server.url, photos, "--clients", clients, "--duration", max(1, round(2 * options.seconds)))
    passed = time.monotonic() - began
    cores, idle = (server.cpu_seconds() - used) / passed, (idle_seconds() - idle) / passed
    times = found["answers_ms"]
    return (f"{clients} clients: {found['goodput_per_second']:,.0f} images/s, p50 {times['p50']:.1f} ms, p99 {times['p99']:.1f} ms, "
            f"{cores:.1f} cores busy in the server and {idle:.1f} idle, refused {found['refused']}, expired {found['expired']}, "
            f"other statuses {found['other_statuses']}")


def idle_seconds() -> float:
    """Of all cores so far."""
    _, _, _, _, idle, waiting, *_ = Path("/proc/stat").read_text().split("\n")[0].split()
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")


def unit_images(server: Server, result: str) -> int:
    try:
        return int(server.series("resnet_serve_jpeg_unit_images_total", f'{{result="{result}"}}'))
    except KeyError:
        return 0


def complaints(server: Server) -> Counter[str]:
    """What the server's log says of the unit, without its time."""
    server.log.seek(0)
    return Counter(line.partition("the JPEG unit")[2].strip() for line in server.log if "the JPEG unit" in line)


def ask(url: str, photo: Path) -> dict:
    """The first prediction of a photo."""
    with urllib.request.urlopen(urllib.request.Request(url, photo.read_bytes(), {"Content-Type": "image/jpeg"})) as response:
        return json.load(response)["results"][0]["predictions"][0]


if __name__ == "__main__":
    main()
