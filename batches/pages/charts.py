"""Charts as plain shapes in per cent: templates draw them as SVG, with the same figures in a table beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from batches.running.record_statements import TIMELINE_SECONDS

MOST_COLUMNS = 60
FEWEST_COLUMNS = 3
"""Of fewer nothing can be seen."""
FULL = 100.0


@dataclass(frozen=True, slots=True)
class Shape:
    """One bar or column. ``length``: in per cent of the longest; ``place``: its number, from 0."""

    place: int
    label: str
    value: str
    length: float
    name: str = ""
    address: str = ""

    @property
    def top(self) -> float:
        """Where a column begins, from above."""
        return FULL - self.length


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing. ``summary`` says in a sentence what it shows; ``ends`` are the labels under its two ends."""

    id: str
    title: str
    summary: str
    shapes: Sequence[Shape]
    heads: tuple[str, str]
    top: str = ""
    ends: tuple[str, str] | None = None
    notes: Sequence[str] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Of the drawing of columns, one unit each."""
        return max(1, len(self.shapes))


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one bar or column stands for."""

    label: str
    number: float
    value: str
    name: str = ""
    address: str = ""


def shapes(quantities: Sequence[Quantity], longest: float | None = None) -> list[Shape]:
    """Bars for quantities; what is not nothing can be seen."""
    most = longest or max((one.number for one in quantities), default=0) or 1
    return [
        Shape(
            place=place,
            label=one.label,
            value=one.value,
            length=round(max(1.5, FULL * min(1.0, one.number / most)), 2) if one.number > 0 else 0.0,
            name=one.name,
            address=one.address,
        )
        for place, one in enumerate(quantities)
    ]


def throughput(finished: Mapping[int, int], now: datetime | None) -> Chart | None:
    """Items finished per second over time. ``finished``: by ten-second slot of the epoch; ``now``: while it runs."""
    if not finished:
        return None
    first, last = min(finished), max(finished)
    if now is not None:
        last = max(last, int(now.timestamp()) // TIMELINE_SECONDS)
    stretch = -(-(last - first + 1) // MOST_COLUMNS)
    columns = [0] * -(-(last - first + 1) // stretch)
    if len(columns) < FEWEST_COLUMNS:
        return None
    for slot, count in finished.items():
        columns[(slot - first) // stretch] += count
    seconds = stretch * TIMELINE_SECONDS
    quantities = [
        Quantity(_clock((first + place * stretch) * TIMELINE_SECONDS), count / seconds, f"{_rate(count / seconds)}/s")
        for place, count in enumerate(columns)
    ]
    fastest = max(one.number for one in quantities)
    return Chart(
        id="throughput",
        title="Throughput",
        summary=f"Items finished per second, in steps of {_span(seconds)}; at most {_rate(fastest)} a second.",
        shapes=shapes(quantities),
        heads=("From (UTC)", "Items per second"),
        top=f"{_rate(fastest)}/s",
        ends=(_moment(first * TIMELINE_SECONDS), _moment((last + 1) * TIMELINE_SECONDS)),
    )


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _span(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def _clock(epoch: int) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%d %b %H:%M:%S}"


def _moment(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")
