"""Where the time goes under load: a flame graph of (a) and one of (b), and a table of what is left."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from peers.servers import ROOT, resnet_serve

from compare.bench import MADE, THIS_SERVER, WARM_UP, Bench
from compare.groups import of_stack
from compare.trials import Rows

HERE = Path(__file__).resolve().parent
TOOLS = MADE / "tools"
PINNED = "0.12.8"  # of inferno
# Samples a second of each core. Not a round number, so that it does not keep step with something.
FREQUENCY = 499
# A frame that is narrower than this share of the picture is left out, which keeps the file small.
NARROWEST = "0.3"


def profile(bench: Bench) -> Iterator[Rows]:
    """Flame graphs of (a) and (b) under load, sampled by perf."""
    if not shutil.which("perf"):
        print("skipped: perf is not installed (Debian: apt-get install linux-perf)", flush=True)
        return
    tools = inferno()
    found = {}
    for case, model in (("front-end", bench.trivial), ("resnet50", bench.resnet50)):
        stacks = collapsed(tools, sampled(bench, model))
        draw(tools, case, stacks)
        found[case] = shares(stacks)
    yield rows(found)


def inferno() -> Path:
    """Installed for this purpose alone."""
    folder = TOOLS / "bin"
    if not (folder / "inferno-flamegraph").exists():
        print("Building inferno, which draws the flame graphs", flush=True)
        command = ["cargo", "install", "inferno", "--version", PINNED, "--locked", "--quiet", "--root", TOOLS]
        subprocess.run(command, check=True, cwd=ROOT)
    return folder


def sampled(bench: Bench, model: Path) -> Path:
    """What perf has recorded of a warm server under load."""
    file = MADE / "perf.data"
    bodies = bench.bodies([THIS_SERVER.encode(picture.read_bytes()) for picture in bench.photos])
    with resnet_serve(model) as server:
        replace(bench.load(), seconds=WARM_UP).drive(server.url, bodies)
        # By time, not by cycles: a virtual machine often has no counters. Stacks by the tables that exceptions use.
        command = ["perf", "record", "--quiet", "--event=cpu-clock", f"--freq={FREQUENCY}", "--call-graph=dwarf,16384",
                   f"--pid={server.process.pid}", f"--output={file}", "--", "sleep", str(bench.options.seconds)]
        recording = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        replace(bench.load(), seconds=bench.options.seconds + 1).drive(server.url, bodies)
        said = recording.communicate()[1]
    if recording.returncode:
        sys.exit(f"error: {' '.join(command)}\n{said}")
    return file


def collapsed(tools: Path, file: Path) -> str:
    """A line for each stack, `thread;outermost;…;innermost count`."""
    script = subprocess.run(["perf", "script", "--no-inline", f"--input={file}"], capture_output=True, check=True)
    command = [tools / "inferno-collapse-perf", "--kernel", "--skip-after", "std::sys::thread::unix::Thread::new::thread_start"]
    done = subprocess.run(command, input=script.stdout, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def draw(tools: Path, case: str, stacks: str) -> None:
    command = [tools / "inferno-flamegraph", "--title", f"resnet-serve, {case}", "--minwidth", NARROWEST, "--hash",
               "--countname", "ns"]
    done = subprocess.run(command, input=stacks.encode(), capture_output=True, check=True)
    (HERE / f"profile-{case}.svg").write_bytes(done.stdout)


def shares(stacks: str) -> dict[str, float]:
    """Percent of the time of each group."""
    samples: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        samples[of_stack(stack.split(";")[1:])] += int(count)
    return {name: 100 * count / samples.total() for name, count in samples.items()}


def rows(found: dict[str, dict[str, float]]) -> Rows:
    """By group, the largest of the first case first."""
    names = sorted({name for shares in found.values() for name in shares},
                   key=lambda name: [-shares.get(name, 0) for shares in found.values()])
    return {name: [{case: shares.get(name, 0) for case, shares in found.items()}] for name in names}
