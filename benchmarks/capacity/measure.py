"""Measures the cost model on this machine with the release binary, and writes measured.json.

    make build && cargo build --release --locked --example load
    python3 benchmarks/capacity/measure.py --photos DIR
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from cost import HERE, fit

ROOT = HERE.parent.parent
BINARY = ROOT / "target/release/resnet-serve"
LOAD = ROOT / "target/release/examples/load"
BATCHES = [1, 2, 4, 8]
# Other work on the machine can only slow it down: of so many looks the fastest counts.
WINDOWS = 4


class Server:
    """The program on free ports, as long as the block lasts."""

    def __init__(self, options: argparse.Namespace, *flags: str) -> None:
        self.command = [options.binary, "serve", f"--model={options.model}", "--listen=127.0.0.1:0",
                        "--admin-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0", "--log-format=json", "--provider=cpu", *flags]

    def __enter__(self) -> "Server":
        started = time.monotonic()
        self.process = subprocess.Popen(self.command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        addresses, self.layout = {}, {}
        for line in self.process.stderr:
            fields = json.loads(line)
            if fields.get("message") == "listening":
                addresses[fields["listener"]] = fields["address"]
            self.layout |= fields if "sessions" in fields else {}
            if fields.get("message") == "ready":
                break
        else:
            sys.exit("error: the program has ended; run it by hand to see why")
        self.ready_seconds = time.monotonic() - started
        # What is logged later is read as well; a pipe that is full would stop the program.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        self.url, self.metrics_url = f"http://{addresses['public']}/classify", f"http://{addresses['admin']}/metrics"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def metrics(self) -> str:
        with urllib.request.urlopen(self.metrics_url) as answer:
            return answer.read().decode()

    def series(self, name: str, labels: str = "") -> float:
        found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def commit(self) -> str:
        """Of the program itself, whatever is checked out here."""
        return re.search(r'^resnet_serve_build_info\{.*commit="([^"]*)"', self.metrics(), re.MULTILINE)[1]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stage(self, name: str) -> tuple[float, float]:
        """Seconds and images so far."""
        labels = f'{{stage="{name}"}}'
        return tuple(self.series(f"resnet_serve_stage_duration_seconds_{part}", labels) for part in ("sum", "count"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--model", type=Path, default=ROOT / "models/resnet50", help="a model's folder")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default: 10)")
    parser.add_argument("--binary", type=Path, default=BINARY)
    parser.add_argument("--load", type=Path, default=LOAD)
    options = parser.parse_args()
    sizes = [path.stat().st_size for path in options.photos.iterdir() if path.is_file()]
    with Server(options):
        # The first start may build the graph.
        pass
    figures = whole(options)
    times = batches(options, figures["intra_threads"])
    a, b = fit(times)
    figures |= {"model": options.model.name, "cores": len(os.sched_getaffinity(0)), "machine": processor(),
                "batch_seconds": dict(times), "a": a, "b": b, "decode_seconds": decoding(options),
                "bytes_per_image": round(sum(sizes) / len(sizes))}
    (HERE / "measured.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def batches(options: argparse.Namespace, threads: int) -> list[tuple[float, float]]:
    """One session as it is by default, and a queue that is never empty: seconds of a batch by the images in it."""
    times = []
    for images in BATCHES:
        with Server(options, "--sessions=1", f"--intra-threads={threads}", f"--max-batch={images}") as server:
            load(options, server, 4 * images, 1)
            size, seconds = min((window(options, server, images) for _ in range(WINDOWS)), key=lambda seen: seen[1])
        print(f"batches of {size:.2f} images: {seconds * 1000:.1f} ms", flush=True)
        times.append((size, seconds))
    return times


def window(options: argparse.Namespace, server: Server, images: int) -> tuple[float, float]:
    before, ran_before = server.stage("inference"), server.series("resnet_serve_batch_images_count")
    load(options, server, 4 * images, options.seconds / WINDOWS)
    after, ran = server.stage("inference"), server.series("resnet_serve_batch_images_count") - ran_before
    # Each image of a batch has the batch's duration.
    return (after[1] - before[1]) / ran, per_image(before, after)


def decoding(options: argparse.Namespace) -> float:
    """One picture at a time: seconds of a core for each."""
    with Server(options, "--sessions=1") as server:
        def once() -> float:
            before = server.stage("decode")
            load(options, server, 1, options.seconds / WINDOWS)
            return per_image(before, server.stage("decode"))

        return min(once() for _ in range(WINDOWS))


def whole(options: argparse.Namespace) -> dict:
    """The defaults, with more clients than it takes to keep the cores busy, and all cores the program's own."""
    with Server(options) as server:
        load(options, server, 16, 3)
        used, answered = server.cpu_seconds(), server.stage("respond")[1]
        load(options, server, 16, 2 * options.seconds)
        per_core = (server.stage("respond")[1] - answered) / (server.cpu_seconds() - used)
        throughput = per_core * len(os.sched_getaffinity(0))
        capacity = server.series("resnet_serve_capacity_images_per_second")
        return {"images_per_second": throughput, "capacity_gauge": capacity, "commit": server.commit(), "ready_seconds": server.ready_seconds} | {
                    name: server.layout[name] for name in ("sessions", "intra_threads", "max_batch")}


def load(options: argparse.Namespace, server: Server, clients: int, seconds: float) -> float:
    """Answers per second to clients that ask again when they are answered."""
    command = [options.load, server.url, "--photos", options.photos, "--clients", clients, "--duration", seconds]
    return json.loads(subprocess.check_output([str(part) for part in command], text=True))["goodput_per_second"]


def per_image(before: tuple[float, float], after: tuple[float, float]) -> float:
    return (after[0] - before[0]) / (after[1] - before[1])


def processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{found[1] if found else platform.processor()}, {platform.machine()}"


if __name__ == "__main__":
    main()
