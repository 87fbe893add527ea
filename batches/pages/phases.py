"""Where the time of a batch's items goes: waiting for their turn, waiting for limits, and at the provider."""

from __future__ import annotations

from dataclasses import dataclass

from batches.figures import Figures, Times

SHARES = (0.50, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the three. Times in milliseconds, None where none was measured; ``at_most`` for each of ``SHARES``.

    ``start`` and ``width``: its stretch of a bar of the averages, in per cent.
    """

    name: str
    label: str
    average: float | None
    at_most: list[float | None]
    start: float = 0.0
    width: float = 0.0


def phases(figures: Figures, *, has_provider: bool = True) -> list[Phase]:
    """In the order in which an item goes through them; none before the first call of a batch ended."""
    if not figures.durations.measured:
        return []
    queued = _a_call(figures, figures.queued.total) if figures.queued.measured else None
    measured = (
        ("queued", "Waiting for its turn", figures.queued, queued),
        ("limited", "Waiting for limits", figures.limited, _a_call(figures, figures.waited)),
        ("provider", "At the provider" if has_provider else "Being done", figures.durations, figures.durations.average),
    )
    whole = sum(average or 0.0 for *_, average in measured)
    drawn, start = [], 0.0
    for name, label, times, average in measured:
        width = 100 * (average or 0.0) / whole if whole else 0.0
        drawn.append(Phase(name, label, average, _at_most(times), round(start, 3), round(width, 3)))
        start += width
    return drawn


def _at_most(times: Times) -> list[float | None]:
    return [times.at_most(share) for share in SHARES]


def _a_call(figures: Figures, total: int) -> float | None:
    """On average over the calls: an item may wait several times before one is made."""
    return total / figures.calls if figures.calls else None
