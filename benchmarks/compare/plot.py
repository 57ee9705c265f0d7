"""Bars and points as SVG pictures, readable on light and on dark pages."""

import statistics
from html import escape

WIDTH = 720
# Blue and gray stay apart for colour-blind eyes, and each mark is named besides.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #646c76 }
  .title { font-size: 14px; font-weight: 600 }
  .grid { stroke: #8b949e; stroke-opacity: 0.4 }
  .spread { stroke: #646c76; stroke-width: 1.5 }
  .ours { fill: #2563eb } .other { fill: #9aa4b2 }
  .line { fill: none; stroke: #2563eb; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #b6bec9 } .title { fill: #f3f4f6 } .spread { stroke: #b6bec9 }
    .ours { fill: #7cb0ff } .other { fill: #6b7684 } .line { stroke: #7cb0ff }
  }
"""


def bars(heading: str, values: dict[str, list[float]], ours: str) -> str:
    """A bar for each name: the middle of its values, and a line from the least to the greatest."""
    left, right, top, step = 170, 80, 40, 30
    longest = max(max(found) for found in values.values())
    across = lambda value: left + (WIDTH - left - right) * value / longest
    parts = []
    for index, (name, found) in enumerate(values.items()):
        y = top + step * index
        middle = statistics.median(found)
        kind = "ours" if name.startswith(ours) else "other"
        parts += [
            f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{across(middle) - left:.1f}" height="20" rx="2"/>',
            f'<line class="spread" x1="{across(min(found)):.1f}" x2="{across(max(found)):.1f}" y1="{y + 10}" y2="{y + 10}"/>',
            f'<text x="{across(max(found)) + 8:.1f}" y="{y + 14}">{middle:.3g}</text>',
        ]
    return page(heading, top + step * len(values) + 8, parts)


def points(heading: str, axes: tuple[str, str], values: dict[str, tuple[float, float]]) -> str:
    """A named point for each pair, and a line from one to the next; both axes begin at zero."""
    left, right, top, bottom, height = 56, 90, 44, 52, 320
    widest, highest = (1.1 * max(pair[axis] for pair in values.values()) for axis in (0, 1))
    across = lambda value: left + (WIDTH - left - right) * value / widest
    up = lambda value: height - bottom - (height - top - bottom) * value / highest
    parts = [f'<text x="{(left + WIDTH - right) / 2}" y="{height - 12}" text-anchor="middle">{axes[0]}</text>',
             f'<text x="{left - 40}" y="{top - 6}">{axes[1]}</text>']
    for value in steps(highest):
        parts += [f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>',
                  f'<text x="{left - 8}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>']
    parts += [f'<text x="{across(value):.1f}" y="{height - bottom + 18}" text-anchor="middle">{value:g}</text>'
              for value in steps(widest)]
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in sorted(values.values()))
    parts.append(f'<polyline class="line" points="{path}"/>')
    for index, (name, (x, y)) in enumerate(values.items()):
        # Below and above by turns, so that neighbours do not cover each other's names.
        aside, down, anchor = (8, 14, "start") if index % 2 == 0 else (0, -10, "middle")
        parts += [f'<circle class="ours" cx="{across(x):.1f}" cy="{up(y):.1f}" r="4"/>',
                  f'<text x="{across(x) + aside:.1f}" y="{up(y) + down:.1f}" text-anchor="{anchor}">{escape(name)}</text>']
    return page(heading, height, parts)


def page(heading: str, height: int, parts: list[str]) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(heading)}</title><style>{STYLE}</style>",
        f'<text class="title" x="16" y="22">{escape(heading)}</text>', *parts, "</svg>", ""])


def steps(highest: float) -> list[float]:
    """Round numbers from 0 on, about five of them."""
    size = 1.0
    while highest / size > 6:
        size *= 2.5 if f"{size:.0e}"[0] == "2" else 2
    return [size * count for count in range(int(highest / size) + 1)]
