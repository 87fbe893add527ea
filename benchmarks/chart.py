"""A line chart as SVG text: positive values over a logarithmic axis, each line named at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 56, 52
NAME_HEIGHT = 16
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")

Line = Sequence[tuple[float, float]]


def line_chart(lines: Mapping[str, Line], *, title: str, x_name: str, y_name: str) -> str:
    """The chart of these lines; every x is positive, no y below zero."""
    x_values = sorted({x for line in lines.values() for x, _ in line})
    highest = round_up(max(y for line in lines.values() for _, y in line))
    plot = _Plot(x_values[0], x_values[-1], highest)
    ends = spread([plot.y(line[-1][1]) for line in lines.values()], NAME_HEIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>',
        f'<text x="{LEFT}" y="44" fill="#555">{escape(y_name)}</text>',
        f'<text x="{plot.x(x_values[-1])}" y="{HEIGHT - 10}" fill="#555" text-anchor="end">{escape(x_name)}</text>',
        *_axes(plot, x_values),
    ]
    for (name, line), colour, end in zip(lines.items(), _colours(len(lines)), ends, strict=True):
        parts += _line(plot, name, line, colour, end)
    return "\n".join([*parts, "</svg>", ""])


class _Plot:
    """Where values lie on the picture."""

    def __init__(self, x_first: float, x_last: float, y_highest: float) -> None:
        self._x_first, self._x_span = math.log(x_first), math.log(x_last / x_first) or 1.0
        self.y_highest = y_highest

    def x(self, value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (math.log(value) - self._x_first) / self._x_span, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.y_highest, 1)


def _axes(plot: _Plot, x_values: Sequence[float]) -> list[str]:
    parts = []
    for step in range(6):
        value = plot.y_highest * step / 5
        y = plot.y(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#555">{value:g}</text>')
    for value in x_values:
        x = plot.x(value)
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#555">{value:,.0f}</text>')
    return parts


def _line(plot: _Plot, name: str, line: Line, colour: str, name_y: float) -> list[str]:
    points = [(plot.x(x), plot.y(y)) for x, y in line]
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
    label = f'<text x="{points[-1][0] + 10}" y="{name_y + 4}" fill="{colour}">{escape(name)} {line[-1][1]:.2f}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, label]


def _colours(number: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(number)]


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 2.5, 3, 4, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(factor * power for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 10) if factor * power >= value))


def spread(places: Sequence[float], distance: float) -> list[float]:
    """The places moved up (to less) as far as needed so that no two are nearer than ``distance``, in their order."""
    moved = list(places)
    free = math.inf
    for index in sorted(range(len(places)), key=lambda index: -places[index]):
        moved[index] = min(places[index], free)
        free = moved[index] - distance
    return moved
