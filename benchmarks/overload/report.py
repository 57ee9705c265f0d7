"""Turns the results of run.py into RESULTS.md, results.json and goodput.svg."""

import json
import os
import platform
from pathlib import Path

import plot
from compare.machine import commit

HERE = Path(__file__).resolve().parent


def shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def span(least: float | None, most: float | None) -> str:
    return "–" if least is None else f"{shown(least)} to {shown(most)}"


def write(results: dict, conditions: str) -> None:
    """Cases that were not run this time keep the results that they have."""
    file = HERE / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    for name, result in results.items():
        known[name] = {"conditions": conditions, "commit": commit(), "result": result}
    file.write_text(json.dumps(known, indent=1) + "\n")
    if "load" in results:
        (HERE / "goodput.svg").write_text(plot.draw(results["load"]))
    sections = [part for name, section in SECTIONS.items() if name in known for part in (
        section(known[name]["result"]), f"*{known[name]['conditions']} At commit {known[name]['commit']}.*\n")]
    (HERE / "RESULTS.md").write_text("\n".join([preamble(), *sections]))


def preamble() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"""# Under and over load

Written by `benchmarks/overload/run.py` on {cores} cores ({platform.machine()}, {platform.system()} {platform.release()});
client and server share the cores. The open loop has Poisson arrivals, and a latency counts from the time at which its
request was due, sent or not. Every request but those of the closed loops says in its query that its answer is of use within the
time below (`timeout_ms`); without that the deadline is `--request-timeout`, 30 s, and what is refused here would wait.
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
                f"| {span(retry['min'], retry['max'])} | {row['memory_mib']:.0f} |"
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


def section_container(row: dict) -> str:
    answers, refusals = row["answers_ms"], row["refusals_ms"]
    return f"""## In a container with 1 CPU and 1 GiB

By cgroup. It chose {row['sessions']} session(s) of {row['intra_threads']} thread(s). At three times its capacity of
{row['capacity']:.1f} images/s: goodput {row['goodput_per_second'] / row['capacity']:.3f} of it, {row['answered_late']} late,
{row['expired']} expired, {row['refused']} refused; answers p50 / p99 {shown(answers['p50'])} / {shown(answers['p99'])} ms,
refusals {shown(refusals['p50'], 1)} / {shown(refusals['p99'], 1)} ms; at most {row['peak_mib']:.0f} MiB in the cgroup, page
cache included, and the process was {'alive' if row['alive'] else 'dead'} at the end.
"""


def section_drain(totals: dict) -> str:
    return f"""## SIGTERM under twice the capacity

{totals['drains']} times: {totals['answered']} requests answered, {totals['refused']} refused (503),
{totals['expired']} told that they were too late (504), {totals['lost']} left without an answer, {totals['bad_exits']} exits with a code other than 0. ({totals['not_connected']} requests that
were due after the end found nobody to connect to.)
"""


SECTIONS = {"load": section_load, "clients": section_clients, "hang-up": section_hang_up, "drain": section_drain,
            "container": section_container}
