"""Measures by turns, so that what disturbs the machine disturbs everyone, and sums up what came out."""

import statistics
from collections.abc import Callable, Iterator

# What was measured, by who was measured.
Rows = dict[str, list[dict]]


def by_turns(rounds: int, contestants: dict[str, Callable[[], dict]]) -> Iterator[Rows]:
    """The rows of each so far, after each round: A B C, B C A, …, so that nobody always comes first."""
    rows: Rows = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            row = contestants[name]()
            rows[name].append(row)
            print(f"  {number + 1}/{rounds} {name}: {line(row)}", flush=True)
        yield rows


def line(row: dict) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in row.items() if isinstance(value, (int, float)))


def median(rows: list[dict], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def spread(rows: list[dict], key: str) -> float:
    """Half of the distance between least and most, as a share of the median."""
    values = [row[key] for row in rows]
    middle = statistics.median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0


def best(rows_of: Rows, key: str) -> str:
    """Who has the highest median."""
    return max(rows_of, key=lambda name: median(rows_of[name], key))
