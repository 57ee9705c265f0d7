"""Measures the cost model on this machine with the release binary, and writes measured.json.

    python3 benchmarks/capacity/measure.py --photos DIR
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from compare.machine import processor  # noqa: E402
from cost import HERE, fit  # noqa: E402
from peers.servers import BINARY, LAYOUT, ROOT, Server, build, end_on_sigterm, load_client, resnet_serve  # noqa: E402

# Other work on the machine can only slow it down: of so many looks the fastest counts.
WINDOWS = 4


def main() -> None:
    options = parse()
    if not options.no_build:
        build()
    end_on_sigterm()
    sizes = [path.stat().st_size for path in options.photos.iterdir() if path.is_file()]
    with served(options):
        # The first start may build the graph.
        pass
    figures = whole(options)
    times = batches(options, figures)
    a, b = fit(times)
    figures |= {"model": options.model.name, "cores": cores(), "machine": processor(), "batch_seconds": dict(times),
                "a": a, "b": b, "decode_seconds": decoding(options), "bytes_per_image": round(sum(sizes) / len(sizes))}
    (HERE / "measured.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--model", type=Path, default=ROOT / "models/resnet50", help="a model's folder")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default: 10)")
    parser.add_argument("--no-build", action="store_true", help="take what is in target/release as it is")
    return parser.parse_args()


def served(options: argparse.Namespace, *flags: str) -> Server:
    return resnet_serve(options.model, ["--provider=cpu", *flags])


def whole(options: argparse.Namespace) -> dict:
    """The defaults, with more clients than it takes to keep the cores busy, and all cores the program's own."""
    with served(options) as server:
        load(options, server, 16, 3)
        used, answered = server.cpu_seconds(), server.stage("respond")[1]
        load(options, server, 16, 2 * options.seconds)
        per_core = (server.stage("respond")[1] - answered) / (server.cpu_seconds() - used)
        layout = server.layout()
        return {"images_per_second": per_core * cores(), "commit": server.commit(),
                "capacity_gauge": server.series("resnet_serve_capacity_images_per_second"),
                "ready_seconds": server.seconds_to_ready, **{name: layout[name] for name in LAYOUT}}


def batches(options: argparse.Namespace, layout: dict) -> list[tuple[int, float]]:
    """The network alone: seconds of a batch by the images in it, if its threads never waited for each other.

    So it is counted as the whole program is, whose threads find something else to do.
    """
    # From two runs, so that the start is in neither.
    (cpu, before), (longer_cpu, after) = (bench(options, layout, seconds) for seconds in (options.seconds / 10, options.seconds))
    seconds = {images: images / one["images_per_second"]["max"] for images, one in after.items()}
    ran = sum(seconds[images] * (one["batches"] - before[images]["batches"]) for images, one in after.items())
    busy = (longer_cpu - cpu) / (layout["intra_threads"] * ran)
    print(f"the network's threads are busy for {busy:.1%} of their time", flush=True)
    return [(images, busy * seconds[images]) for images in sorted(seconds)]


def bench(options: argparse.Namespace, layout: dict, seconds: float) -> tuple[float, dict[int, dict]]:
    """What it used of the processor, and what it found by the images in a batch, each for so long."""
    most = layout["max_batch"]
    sizes = sorted({most, *(2**power for power in range(most.bit_length()))})
    command = [BINARY, "bench", "--json", "--provider=cpu", f"--model={options.model}", f"--sessions={layout['sessions']}",
               f"--batch-sizes={','.join(map(str, sizes))}", f"--rounds={WINDOWS}", f"--duration={seconds / WINDOWS}s"]
    before = children_cpu_seconds()
    found = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))["settings"]
    return children_cpu_seconds() - before, {one["max_batch"]: one for one in found}


def children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def decoding(options: argparse.Namespace) -> float:
    """One picture at a time: seconds of a core for each."""
    with served(options, "--sessions=1") as server:
        def once() -> float:
            before = server.stage("decode")
            load(options, server, 1, options.seconds / WINDOWS)
            seconds, images = (after - earlier for after, earlier in zip(server.stage("decode"), before, strict=True))
            return seconds / images

        return min(once() for _ in range(WINDOWS))


def load(options: argparse.Namespace, server: Server, clients: int, seconds: float) -> None:
    """Clients that ask again when they are answered."""
    load_client(server.url, options.photos, "--clients", clients, "--duration", seconds)


def cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
