"""Turns the results of run.py into RESULTS.md, results.json and goodput.svg."""

import json
from pathlib import Path

from compare.machine import computer
from overload import plot

HERE = Path(__file__).resolve().parent
OFFERED = """Half of the capacity to five times as much was asked for; offered is what was sent. Memory counts pages that processes
share once. LitServe is as it comes, and refuses nothing; uvicorn, on which it runs, can refuse what is over a number of requests
at a time (`limit_concurrency`), whatever time they would take."""


def shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def span(least: float | None, most: float | None) -> str:
    return "–" if least is None else f"{shown(least)} to {shown(most)}"


def write(name: str, case: dict) -> None:
    """Other cases keep the results that they have, if the machine is the same."""
    file = HERE / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    if known.get("machine") != computer():
        known = {"machine": computer(), "cases": {}}
    known["cases"][name] = case
    file.write_text(json.dumps(known, indent=1) + "\n")
    draw(known)


def draw(known: dict) -> None:
    (HERE / "RESULTS.md").write_text(page(known))
    if "load" in known["cases"]:
        (HERE / "goodput.svg").write_text(plot.draw(known["cases"]["load"]["result"]))


def page(known: dict) -> str:
    cases = known["cases"]
    sections = [part for name, section in SECTIONS.items() if name in cases for part in (
        section(cases[name]["result"]), f"*{cases[name]['conditions']}, at commit {cases[name]['commit']}.*\n")]
    return "\n".join([preamble(known["machine"]), *sections])


def preamble(machine: str) -> str:
    return f"""# Under and over load

Written by `make overload` on {machine};
client and server share the cores. The open loop has Poisson arrivals, and a latency counts from the time at which its
request was due, sent or not. Every request but those of the closed loops says in its query that its answer is of use within the
time below (`timeout_ms`); without that the deadline is `--request-timeout`, 30 s, and what is refused here would wait.
"""


def section_load(servers_rows: dict) -> str:
    lines = ["## Offered load", "", "![Goodput against offered load](goodput.svg)", "", OFFERED, ""]
    for name, result in servers_rows.items():
        lines += [
            f"**{name}**, capacity {result['capacity']:.1f} images/s (closed loop, 16 clients):",
            "",
            "| offered ÷ capacity | goodput ÷ capacity | answered late | expired (504) | refused (503) | other | answers p50 / p99 ms "
            "| refusals p50 / p99 ms | Retry-After s | memory MiB |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in result["rows"]:
            answers, refusals, retry = row["answers_ms"], row["refusals_ms"], row["retry_after_seconds"]
            other = row["not_connected"] + row["lost"] + sum(row["other_statuses"].values())
            lines.append(
                f"| {plot.offered(row) / result['capacity']:.2f} | {row['goodput_per_second'] / result['capacity']:.3f} | {row['answered_late']} "
                f"| {row['expired']} | {row['refused']} | {other} | {shown(answers['p50'])} / {shown(answers['p99'])} "
                f"| {shown(refusals['p50'], 1)} / {shown(refusals['p99'], 1)} "
                f"| {span(retry['min'], retry['max'])} | {shown(row.get('proportional_mib'))} |"
            )
        lines.append("")
    return "\n".join(lines)


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


SECTIONS = {"load": section_load, "hang-up": section_hang_up, "drain": section_drain, "container": section_container}
