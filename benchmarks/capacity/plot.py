"""A burst and what two autoscalers make of it, as an SVG picture for light and dark pages."""

from dataclasses import dataclass

WIDTH, PANEL, GAP = 760, 190, 66
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 50, 46
# Blue and orange stay apart for colour-blind eyes, and each line is named at its end besides.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600; fill: #24292f }
  .grid { stroke: #8b949e; stroke-opacity: 0.35 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .offered { stroke: #8b949e; stroke-dasharray: 5 4; stroke-width: 1.5 }
  .s0 { stroke: #2563eb } text.s0 { stroke: none; fill: #2563eb }
  .s1 { stroke: #c2410c } text.s1 { stroke: none; fill: #c2410c }
  @media (prefers-color-scheme: dark) {
    text { fill: #b6bec9 } .title { fill: #f3f4f6 }
    .s0 { stroke: #7cb0ff } text.s0 { fill: #7cb0ff }
    .s1 { stroke: #fb923c } text.s1 { fill: #fb923c }
  }
"""


@dataclass
class Line:
    """A value for every second."""

    name: str
    style: str
    values: list[float]


def draw(panels: list[tuple[str, list[Line]]]) -> str:
    """Panels below each other, over the same minutes."""
    seconds = len(panels[0][1][0].values)
    height = TOP + len(panels) * PANEL + (len(panels) - 1) * GAP + BOTTOM
    title = panels[0][0]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
             f"<title>{title}</title><style>{STYLE}</style>"]
    for index, (heading, lines) in enumerate(panels):
        parts += panel(heading, lines, TOP + index * (PANEL + GAP))
    parts += [f'<text x="{across(minute * 60, seconds):.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{minute}</text>'
              for minute in range(0, seconds // 60 + 1, 5)]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 8}" text-anchor="middle">minutes</text>')
    return "\n".join(parts) + "\n</svg>\n"


def panel(heading: str, lines: list[Line], top: float) -> list[str]:
    highest = 1.08 * max(max(line.values) for line in lines)
    up = lambda value: top + PANEL * (1 - value / highest)
    parts = [f'<text class="title" x="{LEFT}" y="{top - 14}">{heading}</text>']
    for value in steps(highest):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{up(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    # Names at the lines' ends, moved apart where the ends meet.
    taken: list[float] = []
    for line in lines:
        seconds = len(line.values)
        points = " ".join(f"{across(at, seconds):.1f},{up(value):.1f}" for at, value in enumerate(line.values))
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
        y = up(line.values[-1]) + 4
        while any(abs(y - other) < 14 for other in taken):
            y -= 14
        taken.append(y)
        parts.append(f'<text class="{line.style if line.style != "offered" else ""}" x="{WIDTH - RIGHT + 8}" y="{y:.1f}">'
                     f"{line.name}</text>")
    return parts


def across(second: float, seconds: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * second / max(1, seconds - 1)


def steps(highest: float) -> list[float]:
    """Round numbers from 0 on, about five of them."""
    for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
        if highest / step <= 6:
            return [step * count for count in range(int(highest / step) + 1)]
    return [0, highest]
