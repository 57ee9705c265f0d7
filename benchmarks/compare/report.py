"""Turns the rows of the cases into RESULTS.md, results.json and pictures."""

import json
from collections import Counter
from pathlib import Path

from peers.peers import PEERS

from compare.bench import APART, Bench
from compare.machine import machine
from compare.sections import SECTIONS, Column
from compare.targets import TARGETS
from compare.trials import Rows, median, spread

HERE = Path(__file__).resolve().parent


def write(cases: dict[str, Rows], bench: Bench) -> None:
    """Cases that were not run this time keep the results that they have, and each keeps the machine's name."""
    file = HERE / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {"cases": {}, "agreed": {}, "left_out": {}}
    for name, rows in cases.items():
        known["cases"][name] = {"machine": machine(), "conditions": conditions(bench, name, rows), "rows": rows}
    known["agreed"] |= bench.agreed
    known["left_out"] = {name: why for name, why in (known["left_out"] | bench.left_out).items() if name not in bench.agreed}
    known = rounded(known)
    file.write_text(json.dumps(known, indent=1) + "\n")
    draw(known)


def draw(known: dict) -> None:
    (HERE.parent / "RESULTS.md").write_text(page(known))
    for name, case in known["cases"].items():
        if SECTIONS[name].draw:
            (HERE / f"{name}.svg").write_text(SECTIONS[name].draw(case["rows"]))


def page(known: dict) -> str:
    found = {name: known["cases"][name] for name in SECTIONS if name in known["cases"]}
    most = usual_machine(found)
    sections = [section(name, case, most) for name, case in found.items()]
    return "\n".join([preamble(most), targets(found), *sections, ON_A_GPU, peers(known)])


def usual_machine(cases: dict) -> str:
    """What most of them were measured on."""
    return Counter(case["machine"] for case in cases.values()).most_common(1)[0][0]


def rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def conditions(bench: Bench, name: str, rows: Rows) -> str:
    options = bench.options
    rounds = len(next(iter(rows.values())))
    kind = "photographs" if options.photos else "synthetic pictures"
    given = SECTIONS[name]
    how = given.conditions or (f"{rounds} rounds of {given.times_as_long * options.seconds} s, {options.clients} clients "
                               "where nothing else is said")
    parts = [f"{len(bench.photos)} {kind}", how, *([given.processor()] if given.processor else [])]
    return f"{', '.join(parts)}, at commit {bench.commit}"


def preamble(most: str) -> str:
    return f"""# Side by side

Written by `make bench` on {most}, where nothing else is said below a table. Each table is of one machine and one run.

Client and servers share the cores. By turns: in each round every server is started anew, warmed up and measured,
another one first each time. Figures are medians of the rounds, ± half of the distance from the least to the greatest. CPU is
the time of all of a server's processes; memory is theirs in the middle of a measurement, and counts pages that they share
once. [TRIED.md](TRIED.md) says what was tried for speed, kept and dropped.
"""


def targets(cases: dict) -> str:
    lines = ["## How fast", "", "| what | aim | measured | |", "|---|---|---|---|"]
    for name, outcomes in TARGETS.items():
        if name in cases:
            lines += [f"| {one.what} | {one.bound} | {one.measured:.3g} | {one.verdict} |"
                      for one in outcomes(cases[name]["rows"])]
    return "\n".join([*lines, ""])


def section(name: str, case: dict, usual: str) -> str:
    given, rows = SECTIONS[name], case["rows"]
    columns = [column for column in given.columns if any(column.key in found[0] for found in rows.values())]
    lines = [f"## {given.title}", "", *([given.text, ""] if given.text else [])]
    if given.draw:
        lines += [f"![{given.title}](compare/{name}.svg)", ""]
    lines += ["| | " + " | ".join(column.head for column in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {who} | " + " | ".join(cell(found, column) for column in columns) + " |" for who, found in rows.items()]
    elsewhere = "" if case["machine"] == usual else f"; on {case['machine']}"
    return "\n".join([*lines, "", *refusals(rows), f"*{case['conditions']}{elsewhere}.*", ""])


def cell(found: list[dict], column: Column) -> str:
    if column.key not in found[0]:
        return "–"
    text = f"{median(found, column.key):,.{column.digits}f}"
    return f"{text} ± {100 * spread(found, column.key):.0f} %" if column.spread else text


def refusals(rows: Rows) -> list[str]:
    """What was not answered well is said, because it is in no other figure."""
    lines = []
    for name, found in rows.items():
        bad, failed = (sum(row.get(key, 0) for row in found) for key in ("statuses", "failed"))
        if bad or failed:
            lines += [f"{name}: {bad:.0f} requests were refused and {failed:.0f} failed; they do not count as answered.", ""]
    return lines


def peers(known: dict) -> str:
    lines = ["## The peers", "", "The same graph, the same pictures, Pillow for decoding (large JPEGs at a reduced scale, as here) and resizing, the "
             "best five as JSON. "
             "Before anything is measured each must give the same class as this server for a picture through the default model, with a "
             f"probability no more than {APART:g} apart.", "",
             "| | versions | tuning | probability apart |", "|---|---|---|---|"]
    for peer in PEERS:
        if peer.name in known["agreed"]:
            pinned = (HERE.parent / "peers" / peer.requirements).read_text().splitlines()
            versions = ", ".join(line.partition(" #")[0].replace("==", " ") for line in pinned if not line.startswith("#"))
            lines.append(f"| {peer.name} | {versions} | {peer.tuning} | {known['agreed'][peer.name]:.1g} |")
    lines += ["", *[f"{name} is left out: {why}." for name, why in known["left_out"].items()], TORCHSERVE, ""]
    return "\n".join(lines)


ON_A_GPU = """## On a GPU

These machines have none. [GPU.md](GPU.md) has what was seen on an H200; `benchmarks/gpu.py` measures another.
"""

TORCHSERVE = ("TorchServe is left out: it is no longer maintained, and its workers need PyTorch, gigabytes that an ONNX file "
              "does not.")
