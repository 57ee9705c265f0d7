"""Draw a training's log as an SVG picture that is readable on light and on dark pages."""

import argparse
from collections.abc import Sequence
from html import escape
from pathlib import Path

from history import read_history

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 132, 40, 44
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
LEAST_LABEL_DISTANCE = 16
GRID_STEP = 20  # per cent between two horizontal lines
# Blue and orange stay apart for colour-blind eyes, and each line is named at its end besides.
# The first colours can be read on any page, for a viewer that does not know the page's mode.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #646c76 }
  .title { font-size: 14px; font-weight: 600 }
  .grid { stroke: #8b949e; stroke-opacity: 0.4 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .train { stroke: #c2410c } text.train { stroke: none; fill: #c2410c }
  .validation { stroke: #2563eb } text.validation { stroke: none; fill: #2563eb }
  @media (prefers-color-scheme: dark) {
    text { fill: #b6bec9 } .title { fill: #f3f4f6 }
    .train { stroke: #fb923c } text.train { fill: #fb923c }
    .validation { stroke: #7cb0ff } text.validation { fill: #7cb0ff }
  }
"""
CURVES = {"train_top1": ("train", "training"), "validation_top1": ("validation", "validation")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read one CSV log and write one SVG picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, help="training.csv")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    parser.add_argument("--title", default="", help="heading (default: only what is drawn)")
    options = parser.parse_args(arguments)
    options.picture.write_text(draw(read_history(options.log), options.title))


def draw(rows: list[dict[str, str]], title: str) -> str:
    """The accuracies over the epochs as SVG text."""
    curves = {name: [float(row[name]) for row in rows] for name in CURVES}
    lowest = min(min(values) for values in curves.values())
    # The lines then use the height, and 100 % stays in sight.
    bottom = int(min(lowest, 80) // GRID_STEP * GRID_STEP)
    heading = f"{title}: top-1 accuracy, %" if title else "Top-1 accuracy, %"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(heading)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="20">{escape(heading)}</text>',
        *draw_axes(len(rows), bottom),
        *draw_curves(curves, bottom),
    ]
    return "\n".join(parts) + "\n</svg>\n"


def horizontal(epoch: int, last: int) -> float:
    """Where an epoch (1 to `last`) lies, in pixels from the left."""
    return LEFT + PLOT_WIDTH * (epoch - 1) / max(1, last - 1)


def vertical(value: float, bottom: int) -> float:
    """Where a percentage lies, in pixels from the top; the axis runs from `bottom` to 100."""
    return TOP + PLOT_HEIGHT * (100 - value) / (100 - bottom)


def draw_axes(epochs: int, bottom: int) -> list[str]:
    """Horizontal lines with their percentages, and some epochs below."""
    parts = []
    for value in range(bottom, 101, GRID_STEP):
        height = vertical(value, bottom)
        end = LEFT + PLOT_WIDTH
        parts.append(f'<path class="grid" d="M{LEFT} {height:.1f}H{end}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{value}</text>')
    for epoch in sorted({1, *(max(1, round(epochs * share / 4)) for share in (1, 2, 3, 4))}):
        place = horizontal(epoch, epochs)
        parts.append(
            f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{epoch}</text>'
        )
    middle = LEFT + PLOT_WIDTH / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>')
    return parts


def draw_curves(curves: dict[str, list[float]], bottom: int) -> list[str]:
    """The lines, each named at its end with its last value."""
    parts = []
    heights = label_heights([vertical(values[-1], bottom) for values in curves.values()])
    for (name, values), height in zip(curves.items(), heights, strict=True):
        kind, label = CURVES[name]
        points = " ".join(
            f"{horizontal(epoch, len(values)):.1f},{vertical(value, bottom):.1f}"
            for epoch, value in enumerate(values, start=1)
        )
        parts.append(f'<polyline class="line {kind}" points="{points}"/>')
        text = f"{label} {values[-1]:.2f}"
        place = LEFT + PLOT_WIDTH + 8
        parts.append(f'<text class="{kind}" x="{place}" y="{height + 4:.1f}">{text}</text>')
    return parts


def label_heights(heights: list[float]) -> list[float]:
    """The two labels' heights, moved apart where they would overlap."""
    first, second = heights
    lacking = LEAST_LABEL_DISTANCE - abs(first - second)
    if lacking <= 0:
        return heights
    push = lacking / 2 if first < second else -lacking / 2
    return [first - push, second + push]


if __name__ == "__main__":
    main()
