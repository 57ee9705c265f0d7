"""The log of a training: one row per epoch, kept in the checkpoint and written as CSV."""

import csv
from pathlib import Path
from typing import Any

COLUMNS = (
    "epoch",
    "train_loss",
    "train_top1",
    "validation_loss",
    "validation_top1",
    "validation_top5",
    "rate",
    "seconds",
    "images_per_second",
    "device",
)
DIGITS = {"train_loss": 4, "validation_loss": 4, "rate": 6, "images_per_second": 0}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write every epoch so far: a log that is always whole needs no care when resuming."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded(row) for row in history)


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with as many digits as mean something; losses 4, percentages and seconds 2."""
    return {
        name: f"{row[name]:.{DIGITS.get(name, 2)}f}" if isinstance(row[name], float) else row[name]
        for name in COLUMNS
    }


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows of a log, as text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def describe(row: dict[str, Any]) -> str:
    """One line about an epoch for whoever watches the training."""
    return (
        f"epoch {row['epoch']}: loss {row['train_loss']:.3f}, "
        f"train {row['train_top1']:.2f} %, validation {row['validation_top1']:.2f} % "
        f"(top 5 {row['validation_top5']:.2f} %), {row['images_per_second']:.0f} images/s"
    )
