"""What the server does at and above its capacity, beside LitServe with the same network.

    python3 benchmarks/overload/run.py --photos DIR

Builds what it needs, measures each server's capacity by a closed loop, then offers multiples of it in an open
loop with Poisson arrivals. Prints every row, and after each case writes RESULTS.md, results.json and goodput.svg
beside this file. Other cases: `hang-up`, `drain`, `container`. Cases that are not run keep their results. Without
`--photos` it makes pictures of 500x375 by itself.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from overload import container, report  # noqa: E402
from overload.report import shown  # noqa: E402
from peers import photos  # noqa: E402
from peers.peers import LITSERVE, litserve  # noqa: E402
from peers.servers import ROOT, Server, build, end_on_sigterm, load_client, resnet_serve  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))
from in_venv import environment  # noqa: E402

MULTIPLES = [0.5, 0.9, 1.0, 2.0, 3.0, 5.0]


def main() -> None:
    options = parse()
    if not options.no_build:
        build()
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        options.synthetic = options.photos is None
        if options.synthetic:
            options.photos = photos.synthetic(Path(folder), loops_python())
        for name in options.cases or CASES:
            try:
                result = CASES[name](options)
            except container.NotAllowed as cause:
                print(f"skipped: {name}: {cause}", flush=True)
                continue
            report.write(name, {"conditions": conditions(name, options), "commit": commit(options), "result": result})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", choices=[*CASES, []],
                        help="load, hang-up, drain, container (default: all)")
    parser.add_argument("--photos", type=Path, help="a folder of pictures (default: synthetic ones of 500x375)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/resnet50", help="a model's folder")
    parser.add_argument("--seconds", type=float, default=20, help="of each row (default: 20)")
    parser.add_argument("--timeout-ms", type=int, default=1000, help="what counts as in time (default: 1000)")
    parser.add_argument("--drains", type=int, default=50, help="SIGTERMs under load (default: 50)")
    parser.add_argument("--no-peer", action="store_true", help="leave LitServe out")
    parser.add_argument("--no-build", action="store_true", help="take what is in target/release as it is")
    return parser.parse_args()


def commit(options: argparse.Namespace) -> str:
    with resnet_serve(options.model) as server:
        return server.commit()


def load(server: Server, options: argparse.Namespace, *flags: object) -> dict:
    """One run of the load client."""
    return load_client(server.url, options.photos, *server.load_flags, *flags)


def servers(options: argparse.Namespace) -> dict[str, Callable[[], Server]]:
    """Each is made when its turn comes, because its ports are free only then."""
    found: dict[str, Callable[[], Server]] = {"resnet-serve": lambda: resnet_serve(options.model)}
    if not options.no_peer:
        # It is after resnet-serve, whose first start writes the network where the folder has only a recipe.
        programs = peer_programs()
        found["LitServe"] = lambda: litserve(programs, options.model.resolve(), options.timeout_ms / 1000)
    return found


def case_load(options: argparse.Namespace) -> dict:
    results = {}
    for name, make in servers(options).items():
        with make() as server:
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
    row |= {"multiple": multiple, "rate": multiple * capacity, "proportional_mib": server.proportional_mib(),
            "cpu_seconds": server.cpu_seconds() - cpu}
    print(f"  {multiple:.1f}x: goodput {row['goodput_per_second'] / capacity:.3f} of capacity, "
          f"answers p50 {shown(row['answers_ms']['p50'])} ms, refusals p50 {shown(row['refusals_ms']['p50'])} ms, "
          f"late {row['answered_late']}, expired {row['expired']}, {row['proportional_mib']:.0f} MiB", flush=True)
    # So that one row's backlog is not the next one's.
    time.sleep(2)
    return row


def case_hang_up(options: argparse.Namespace) -> dict:
    """Half of the clients hang up while their picture waits: how many pictures run for nobody?"""
    with resnet_serve(options.model) as server:
        capacity = load(server, options, "--clients", 16, "--duration", 5)["goodput_per_second"]
        before = server.series("resnet_serve_batch_images_sum")
        row = load(server, options, "--rate", 2 * capacity, "--duration", options.seconds / 2, "--timeout-ms",
                   options.timeout_ms, "--hang-up-share", 0.5, "--hang-up-after-ms", 100)
        ran = server.series("resnet_serve_batch_images_sum") - before
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


def case_container(options: argparse.Namespace) -> dict:
    """Three times the capacity in a cgroup of 1 CPU and 1 GiB; needs root."""
    with container.Cgroup(cpus=1, memory=2**30) as cgroup, resnet_serve(options.model, wrapper=cgroup.enter()) as server:
        load(server, options, "--clients", 8, "--duration", 3)
        capacity = load(server, options, "--clients", 8, "--duration", options.seconds)["goodput_per_second"]
        row = offer(server, options, 3.0, capacity)
        return row | server.layout() | {
            "capacity": capacity, "peak_mib": cgroup.peak_mib(), "alive": server.process.poll() is None
        }


def conditions(name: str, options: argparse.Namespace) -> str:
    seconds = options.seconds
    how = {"load": f"{seconds:g} s a row and for each capacity", "hang-up": f"{seconds / 2:g} s", "drain": "3 s of load each time",
           "container": f"{seconds:g} s, and as long for the capacity"}[name]
    kind = "synthetic pictures" if options.synthetic else "photographs"
    return (f"Model {options.model.name}, {len(photos.listed(options.photos))} {kind} in turn as JPEG, {how}, in time is within "
            f"{options.timeout_ms} ms")


CASES = {"load": case_load, "hang-up": case_hang_up, "drain": case_drain, "container": case_container}


def loops_python() -> Path:
    """Has Pillow."""
    folder = environment(ROOT / "benchmarks/compare/requirements.txt")
    return folder / "bin/python" if folder else sys.exit("error: pictures cannot be made here; --photos names a folder of them")


def peer_programs() -> Path:
    return LITSERVE.programs() or sys.exit("error: LitServe cannot be installed here; --no-peer leaves it out")


if __name__ == "__main__":
    main()
