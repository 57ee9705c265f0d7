"""Simulates bursts, autoscaling and rollouts with the measured cost model, and writes the figures of docs/capacity.md.

    python3 benchmarks/capacity/run.py            # the same figures every time
    python3 benchmarks/capacity/run.py --check    # fails where the document is not what this would write
"""

import argparse
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import plot
from cost import HERE, TARGET, CostModel, Fleet, Replica, cpu_model, measured
from simulation import Sample, Scenario, Simulation

DOCUMENT = HERE.parent.parent / "docs/capacity.md"
PICTURE = DOCUMENT.with_suffix(".svg")
GPU_IMAGES_PER_SECOND = 6127
# A second, by a core of the machine with an H200: benchmarks/GPU.md.
H200_DECODED = 300
RATES = [100, 10_000, 1_000_000]
# The burst: so many times what arrives before and after it, from minute to minute.
SURGE, FROM, TO, MINUTES = 10, 5, 15, 30
# `maxSurge` of the Deployment.
SHARE = 0.25
SIGNALS = {
    "saturation, last sample": ("saturation", 0.0),
    "saturation, mean of a minute": ("saturation", 60.0),
    "CPU utilisation": ("cpu", 0.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    parser.add_argument("--gpu-images-per-second", type=float, default=GPU_IMAGES_PER_SECOND,
                        help="of one GPU, assumed: NVIDIA's figure for Triton on an A100 (default: %(default)g)")
    parser.add_argument("--core-hour", type=float, default=0.04, help="US dollars for a core, assumed (default: %(default)g)")
    parser.add_argument("--gpu-hour", type=float, default=3.5, help="US dollars for a GPU, assumed (default: %(default)g)")
    options = parser.parse_args()
    figures = measured()
    cost = cpu_model(figures)
    text, picture = bursts(cost)
    blocks = {"measured": measured_block(figures, cost), "bursts": text, "rollouts": rollouts(cost),
              "fleets": fleets(options, figures, cost), "cores": cores_of_a_gpu(options, figures)}
    document = DOCUMENT.read_text()
    for name, block in blocks.items():
        document = fill(document, name, block)
    write({DOCUMENT: document, PICTURE: picture}, options.check)


def fill(document: str, name: str, block: str) -> str:
    """Puts a block between its two marks."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(document):
        sys.exit(f"error: {DOCUMENT} has no place for `{name}`")
    return marks.sub(lambda found: f"{found[1]}{block}\n{found[2]}", document)


def write(files: dict[Path, str], only_check: bool) -> None:
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if only_check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"FAILED: {names}: not what benchmarks/capacity/run.py writes; run it")
    for path in stale:
        path.write_text(files[path])
    print("everything is as it was" if not stale else f"written: {', '.join(path.name for path in stale)}")


def measured_block(figures: dict, cost: CostModel) -> str:
    batches = ", ".join(f"{images}: {seconds * 1000:.0f}" for images, seconds in figures["batch_seconds"].items())
    return f"""| | |
|---|---|
| network, program | `models/{figures['model']}`, at commit {figures['commit']} |
| machine | {figures['cores']} cores, {figures['machine']} |
| the network alone (`resnet-serve bench`): milliseconds by images in a batch, if its {plural(figures['intra_threads'], 'thread')} never waited for each other | {batches} |
| `t(n) = a + b·n` | a = {figures['a'] * 1000:.1f} ms, b = {figures['b'] * 1000:.1f} ms |
| to decode and resize a picture of {figures['bytes_per_image'] / 1000:.0f} kB | {figures['decode_seconds'] * 1000:.1f} ms of a core |
| the whole program ({plural(figures['sessions'], 'session')}, batches up to {figures['max_batch']}, 16 clients): images per CPU-second × {figures['cores']} cores | {figures['images_per_second']:.1f} images/s |
| start of the process to ready | {figures['ready_seconds']:.1f} s |"""


def plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def bursts(cost: CostModel) -> tuple[str, str]:
    base = 0.6 * 2 * cost.capacity()
    rate = lambda time: base * (SURGE if FROM * 60 <= time < TO * 60 else 1)
    lines, rows = [], []
    for name, (signal, window) in SIGNALS.items():
        simulation = Simulation(Scenario(cost, rate, SURGE * base, MINUTES * 60, signal=signal, window=window))
        samples = simulation.run()
        lines.append((name, samples))
        rows.append(f"| {name} | {row(samples, simulation)} |")
    table = "\n".join([
        f"{base:.0f} images/s, for {TO - FROM} minutes {SURGE * base:.0f}; replicas are ready "
        f"{Scenario.start_seconds:.0f} s after they are asked for, deadline {Scenario.timeout:.0f} s.",
        "",
        "| scaled on | refused of the burst | late | under 1 % refused after | most replicas | replica-hours |",
        "|---|---|---|---|---|---|",
        *rows,
    ])
    return table, picture(rate, lines)


def row(samples: list[Sample], simulation: Simulation) -> str:
    burst = samples[FROM * 60:TO * 60]
    refused = sum(sample.refused for sample in burst) / sum(sample.offered for sample in burst)
    late = sum(sample.late for sample in samples)
    most = max(sample.replicas for sample in samples)
    return f"{refused:.1%} | {late} | {settled(burst)} s | {most} | {simulation.replica_seconds / 3600:.1f}"


def settled(burst: list[Sample]) -> int:
    """The second from which on less than one in a hundred is refused, of all that still come."""
    refused = offered = 0
    for second in range(len(burst) - 1, -1, -1):
        refused, offered = refused + burst[second].refused, offered + burst[second].offered
        if refused > 0.01 * offered:
            return second + 1
    return 0


def picture(rate, lines: list[tuple[str, list[Sample]]]) -> str:
    (name, truth), _, (other, cpu) = lines
    smooth = lambda samples, part: moving([getattr(sample, part) for sample in samples], 10)
    return plot.draw([
        ("Answered in time, images per second", [
            plot.Line("offered", "offered", [rate(second) for second in range(len(truth))]),
            plot.Line("by saturation", "s0", smooth(truth, "served")),
            plot.Line("by CPU utilisation", "s1", smooth(cpu, "served")),
        ]),
        ("Replicas", [
            plot.Line("by saturation", "s0", [sample.replicas for sample in truth]),
            plot.Line("by CPU utilisation", "s1", [sample.replicas for sample in cpu]),
        ]),
    ])


def rollouts(cost: CostModel) -> str:
    rows = []
    for replicas in (2, 10, 50):
        surge = math.ceil(SHARE * replicas)
        took = math.ceil(replicas / surge) * Scenario.start_seconds + Scenario.drain_seconds
        rate = TARGET * replicas * cost.capacity()
        still = Scenario(cost, lambda _time, rate=rate: rate, rate, took + 60, replicas=replicas, surge=surge)
        before, rolling = Simulation(still), Simulation(replace(still, rollout_at=30.0))
        refused = [sum(sample.refused + sample.late for sample in each.run()) for each in (before, rolling)]
        extra = rolling.replica_seconds - before.replica_seconds
        offered = sum(sample.offered for sample in rolling.samples)
        rows.append(f"| {replicas} | {surge} | {took:.0f} s | {extra / 60:.1f} | {offered} | {refused[1]} | {refused[0]} |")
    return "\n".join([
        "| replicas | at a time | a rollout takes | replica-minutes on top | requests meanwhile | refused or late | without a rollout |",
        "|---|---|---|---|---|---|---|", *rows])


def decoding_cores(figures: dict, images_per_second: float) -> int:
    """As many as decode what a GPU takes."""
    return math.ceil(images_per_second * figures["decode_seconds"])


def fleets(options: argparse.Namespace, figures: dict, cost: CostModel) -> str:
    decode = figures["decode_seconds"]
    gpu_cores = decoding_cores(figures, options.gpu_images_per_second)
    replicas = [
        Replica("CPU (measured)", figures["images_per_second"], figures["cores"], 0, figures["cores"] * options.core_hour),
        Replica("GPU (assumed)", options.gpu_images_per_second, gpu_cores, 1,
                options.gpu_hour + gpu_cores * options.core_hour),
    ]
    rows = []
    for rate in RATES:
        for replica in replicas:
            fleet = Fleet(replica, rate, figures["bytes_per_image"])
            rows.append(f"| {rate:,} | {replica.name} | {fleet.replicas:,} | {fleet.cores:,.0f} | {fleet.gpus:,} "
                        f"| {fleet.price_per_hour:,.2f} | {fleet.price_per_million_images:.2f} "
                        f"| {fleet.gigabits_per_second:,.1f} | {rate * decode:,.1f} |")
    return "\n".join([
        "| images/s | on | replicas | cores | GPUs | USD an hour | USD a million images | Gbit/s in | cores that decode |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"With `models/{figures['model']}` a CPU replica sustains {figures['images_per_second']:.0f} images/s on {figures['cores']} cores; a GPU is assumed to "
        f"sustain {options.gpu_images_per_second:,.0f} and needs {gpu_cores} cores that decode for it, a machine with eight {8 * gpu_cores}. Replicas are planned at "
        f"{TARGET:.0%} of that. Prices are assumptions: {options.core_hour:g} US dollars a core-hour, {options.gpu_hour:g} a GPU-hour.",
    ])


def cores_of_a_gpu(options: argparse.Namespace, figures: dict) -> str:
    rate = options.gpu_images_per_second
    return (f"The cores beside it decode {H200_DECODED:.0f} images/s each, against {1 / figures['decode_seconds']:.0f} of the machine "
            f"above, so it takes {math.ceil(rate / H200_DECODED)} of them where the table has "
            f"{decoding_cores(figures, rate)}: measure one of yours.")


def moving(values: list[float], width: int) -> list[float]:
    return [sum(values[max(0, at - width + 1):at + 1]) / min(width, at + 1) for at in range(len(values))]


if __name__ == "__main__":
    main()
