"""What the server does at and above its capacity, beside LitServe with the same network.

    python3 benchmarks/overload/run.py --photos DIR

Builds what it needs, measures each server's capacity by a closed loop, then offers multiples of it in an open
loop with Poisson arrivals. Prints every row and writes RESULTS.md, results.json and goodput.svg beside this file.
Other cases: `clients`, `drain`, `hang-up`. Without `--photos` it makes pictures of 500x375 by itself.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

import plot
from servers import ROOT, Server, litserve, resnet_serve

HERE = Path(__file__).resolve().parent
LOAD = ROOT / "target/release/examples/load"
MULTIPLES = [0.5, 0.9, 1.0, 2.0, 3.0, 5.0]
CLIENTS = [1, 4, 16, 64, 256]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["load", "clients", "hang-up", "drain"],
                        help="load, clients, hang-up, drain (default: all)")
    parser.add_argument("--photos", type=Path, help="a folder of pictures (default: synthetic ones of 500x375)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/resnet50", help="a model's folder")
    parser.add_argument("--seconds", type=float, default=20, help="of each row (default: 20)")
    parser.add_argument("--timeout-ms", type=int, default=1000, help="what counts as in time (default: 1000)")
    parser.add_argument("--drains", type=int, default=50, help="SIGTERMs under load (default: 50)")
    parser.add_argument("--no-peer", action="store_true", help="leave LitServe out")
    options = parser.parse_args()
    subprocess.run(["make", "--no-print-directory", "build"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--example", "load"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.photos is None:
            options.photos = synthetic_photos(Path(folder), peer_python())
        results = {name: CASES[name](options) for name in options.cases}
    write(results, options)


def load(server: Server, options: argparse.Namespace, *flags: object) -> dict:
    """One run of the load client."""
    command = [LOAD, server.url, "--photos", options.photos, *server.load_flags, *flags]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return json.loads(done.stdout)


def servers(options: argparse.Namespace) -> dict[str, Server]:
    found = {"resnet-serve": resnet_serve(options.model)}
    if not options.no_peer:
        # Written by the first start of resnet-serve where the folder has only a recipe.
        graph = options.model / "model.onnx"
        with found["resnet-serve"]:
            pass
        found["LitServe"] = litserve(peer_python(), graph, options.timeout_ms / 1000)
    return found


def case_load(options: argparse.Namespace) -> dict:
    results = {}
    for name, server in servers(options).items():
        with server:
            # Twice as many clients as are needed to keep the cores busy, after a warm-up.
            load(server, options, "--clients", 16, "--duration", 3)
            capacity = load(server, options, "--clients", 16, "--duration", options.seconds)["goodput_per_second"]
            if not capacity:
                sys.exit(f"error: {name} answers nothing")
            print(f"{name}: {capacity:.1f} images/s in a closed loop of 16 clients", flush=True)
            rows = [offer(server, options, multiple, capacity) for multiple in MULTIPLES]
        results[name] = {"capacity": capacity, "rows": rows}
    return results


def offer(server: Server, options: argparse.Namespace, multiple: float, capacity: float) -> dict:
    cpu = server.cpu_seconds()
    row = load(server, options, "--rate", multiple * capacity, "--duration", options.seconds,
               "--timeout-ms", options.timeout_ms)
    row |= {"multiple": multiple, "rate": multiple * capacity, "memory_mib": server.memory_mib(),
            "cpu_seconds": server.cpu_seconds() - cpu}
    print(f"  {multiple:.1f}x: goodput {row['goodput_per_second'] / capacity:.3f} of capacity, "
          f"answers p50 {shown(row['answers_ms']['p50'])} ms, refusals p50 {shown(row['refusals_ms']['p50'])} ms, "
          f"late {row['answered_late']}, expired {row['expired']}, {row['memory_mib']:.0f} MiB", flush=True)
    # So that one row's backlog is not the next one's.
    time.sleep(2)
    return row


def case_clients(options: argparse.Namespace) -> dict:
    results = {}
    with resnet_serve(options.model) as server:
        load(server, options, "--clients", 16, "--duration", 3)
        for clients in CLIENTS:
            row = load(server, options, "--clients", clients, "--duration", options.seconds / 2)
            print(f"{clients} clients: {row['goodput_per_second']:.1f} images/s", flush=True)
            results[clients] = row
    return results


def case_hang_up(options: argparse.Namespace) -> dict:
    """Half of the clients hang up while their picture waits: how many pictures run for nobody?"""
    with resnet_serve(options.model) as server:
        capacity = load(server, options, "--clients", 16, "--duration", 5)["goodput_per_second"]
        before = server.metric("resnet_serve_batch_images_sum")
        row = load(server, options, "--rate", 2 * capacity, "--duration", options.seconds / 2, "--timeout-ms",
                   options.timeout_ms, "--hang-up-share", 0.5, "--hang-up-after-ms", 100)
        ran = server.metric("resnet_serve_batch_images_sum") - before
    answered = row["answered_in_time"] + row["answered_late"]
    row |= {"ran": ran, "ran_for_nobody": ran - answered}
    print(f"{row['hung_up']} clients hung up; {ran - answered:.0f} of {ran:.0f} pictures ran for nobody", flush=True)
    return row


def case_drain(options: argparse.Namespace) -> dict:
    """SIGTERM in the middle of twice the capacity, again and again."""
    totals = {"drains": 0, "lost": 0, "expired": 0, "answered": 0, "refused": 0, "not_connected": 0, "bad_exits": 0}
    with resnet_serve(options.model) as server:
        capacity = load(server, options, "--clients", 16, "--duration", 5)["goodput_per_second"]
    luck = random.Random(1)
    for _ in range(options.drains):
        server = resnet_serve(options.model, ["--drain-delay=500ms"])
        with server:
            stop = threading.Timer(luck.uniform(1.0, 2.0), server.process.send_signal, [signal.SIGTERM])
            stop.start()
            row = load(server, options, "--rate", 2 * capacity, "--duration", 3, "--timeout-ms", options.timeout_ms)
            code = server.process.wait(timeout=60)
        totals["drains"] += 1
        totals["lost"] += row["lost"]
        totals["expired"] += row["expired"]
        totals["answered"] += row["answered_in_time"] + row["answered_late"]
        totals["refused"] += row["refused"]
        totals["not_connected"] += row["not_connected"]
        totals["bad_exits"] += code != 0
    print(f"drain: {totals}", flush=True)
    return totals


CASES = {"load": case_load, "clients": case_clients, "hang-up": case_hang_up, "drain": case_drain}


def peer_python() -> Path:
    """The peer's own environment, made when it is first needed."""
    folder = ROOT / "target/benchmarks/litserve"
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        requirements = HERE / "requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
    return python


def synthetic_photos(folder: Path, python: Path) -> Path:
    """Pictures with about as many bytes as a photo of their size: noise, blurred."""
    script = """
import sys
import numpy as np
from PIL import Image, ImageFilter
for index in range(40):
    noise = np.random.default_rng(index).integers(0, 256, (375, 500, 3), np.uint8)
    Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).save(f"{sys.argv[1]}/{index:02}.jpg", quality=92)
"""
    subprocess.run([python, "-c", script, folder], check=True)
    return folder


def shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def write(results: dict, options: argparse.Namespace) -> None:
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if "load" in results:
        (HERE / "goodput.svg").write_text(plot.draw(results["load"]))
    sections = [section(results[name]) for name, section in SECTIONS.items() if name in results]
    (HERE / "RESULTS.md").write_text("\n".join([preamble(options), *sections]))


def preamble(options: argparse.Namespace) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    cores = len(os.sched_getaffinity(0))
    pictures = len([file for file in options.photos.iterdir() if file.is_file()])
    return f"""# Under and over load

Written by `benchmarks/overload/run.py` at commit {commit.stdout.strip()} on {cores} cores ({platform.machine()},
{platform.system()} {platform.release()}). Model: {options.model.name}. {pictures} photographs in turn as JPEG bodies,
{options.seconds:.0f} s a row; client and server share the cores. A latency counts from the time at which its
request was due, sent or not. In time is within {options.timeout_ms} ms.
"""


def section_load(servers_rows: dict) -> str:
    lines = ["## Offered load", "", "![Goodput against offered load](goodput.svg)", ""]
    for name, result in servers_rows.items():
        lines += [
            f"**{name}**, capacity {result['capacity']:.1f} images/s (closed loop, 16 clients):",
            "",
            "| offered | goodput ÷ capacity | answered late | expired (504) | refused (503) | other | answers p50 / p99 ms "
            "| refusals p50 / p99 ms | Retry-After s | memory MiB |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in result["rows"]:
            answers, refusals, retry = row["answers_ms"], row["refusals_ms"], row["retry_after_seconds"]
            other = row["not_connected"] + row["lost"] + sum(row["other_statuses"].values())
            lines.append(
                f"| {row['multiple']:g}× | {row['goodput_per_second'] / result['capacity']:.3f} | {row['answered_late']} "
                f"| {row['expired']} | {row['refused']} | {other} | {shown(answers['p50'])} / {shown(answers['p99'])} "
                f"| {shown(refusals['p50'], 1)} / {shown(refusals['p99'], 1)} "
                f"| {shown(retry['min'])}–{shown(retry['max'])} | {row['memory_mib']:.0f} |"
            )
        lines.append("")
    return "\n".join(lines)


def section_clients(rows: dict) -> str:
    best = max(row["goodput_per_second"] for row in rows.values())
    lines = ["## Closed loop", "", "| clients | images/s | ÷ best | p50 ms | p99 ms |", "|---|---|---|---|---|"]
    for clients, row in rows.items():
        rate, answers = row["goodput_per_second"], row["answers_ms"]
        lines.append(f"| {clients} | {rate:.1f} | {rate / best:.3f} | {shown(answers['p50'])} | {shown(answers['p99'])} |")
    return "\n".join([*lines, ""])


def section_hang_up(row: dict) -> str:
    return f"""## Clients that hang up

At twice the capacity half of the clients went away 100 ms after their request was due: {row['hung_up']} did before
they had an answer. Of {row['ran']:.0f} pictures that ran, {row['ran_for_nobody']:.0f} ran for nobody.
"""


def section_drain(totals: dict) -> str:
    return f"""## SIGTERM under twice the capacity

{totals['drains']} times: {totals['answered']} requests answered, {totals['refused']} refused (503),
{totals['expired']} told that they were too late (504), {totals['lost']} left without an answer, {totals['bad_exits']} exits with a code other than 0. ({totals['not_connected']} requests that
were due after the end found nobody to connect to.)
"""


SECTIONS = {"load": section_load, "clients": section_clients, "hang-up": section_hang_up, "drain": section_drain}

if __name__ == "__main__":
    main()
