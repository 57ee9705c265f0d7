"""Goodput against offered load as an SVG picture, readable on light and on dark pages."""

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 120, 44, 52
# Blue and orange stay apart for colour-blind eyes, and each line is named at its end besides.
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #646c76 }
  .title { font-size: 14px; font-weight: 600 }
  .grid { stroke: #8b949e; stroke-opacity: 0.4 }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .dot { stroke: none }
  .ideal { stroke: #8b949e; stroke-dasharray: 5 4 }
  .s0 { stroke: #2563eb } text.s0, .dot.s0 { stroke: none; fill: #2563eb }
  .s1 { stroke: #c2410c } text.s1, .dot.s1 { stroke: none; fill: #c2410c }
  @media (prefers-color-scheme: dark) {
    text { fill: #b6bec9 } .title { fill: #f3f4f6 }
    .s0 { stroke: #7cb0ff } text.s0, .dot.s0 { fill: #7cb0ff }
    .s1 { stroke: #fb923c } text.s1, .dot.s1 { fill: #fb923c }
  }
"""


def draw(results: dict) -> str:
    """The servers' rows as SVG text; both axes in images per second."""
    widest = max(offered(row) for result in results.values() for row in result["rows"])
    highest = 1.15 * max(result["capacity"] for result in results.values())
    across = lambda rate: LEFT + (WIDTH - LEFT - RIGHT) * rate / widest
    up = lambda rate: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(rate, highest) / highest
    heading = "Answers within the deadline, images per second"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{heading}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="22">{heading}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">offered, images per second</text>',
    ]
    for rate in steps(highest):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(rate):.1f}" y2="{up(rate):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{up(rate) + 4:.1f}" text-anchor="end">{rate:g}</text>')
    for rate in steps(widest):
        parts.append(f'<text x="{across(rate):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{rate:g}</text>')
    capacity = next(iter(results.values()))["capacity"]
    corner = f"{across(capacity):.1f},{up(capacity):.1f}"
    parts.append(f'<polyline class="line ideal" points="{LEFT},{up(0)} {corner} {across(widest):.1f},{up(capacity):.1f}"/>')
    parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{up(capacity) - 8:.1f}">ideal</text>')
    for index, (name, result) in enumerate(results.items()):
        points = [(across(offered(row)), up(row["goodput_per_second"])) for row in result["rows"]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line s{index}" points="{path}"/>')
        parts += [f'<circle class="dot s{index}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        x, y = points[-1]
        parts.append(f'<text class="s{index}" x="{x + 8:.1f}" y="{y + 4:.1f}">{name}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def offered(row: dict) -> float:
    """What was sent, which chance makes more or less than what was asked for; images per second."""
    return row["requests"] / row["seconds"]


def steps(highest: float) -> list[float]:
    """Round numbers from 0 on, about five of them."""
    for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10000):
        if highest / step <= 6:
            return [step * count for count in range(int(highest / step) + 1)]
    return [0, highest]
