"""How fast a batch goes and when it will be done: pure functions over what was counted when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

RATE_WINDOW_SECONDS = 30.0
SHORTEST_SPAN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How many items were final at an instant (epoch seconds)."""

    at: float
    finished: int


def items_per_second(samples: Sequence[Sample], now: float) -> float | None:
    """The recent rate; ``None`` while nothing can be said.

    It is measured up to ``now`` rather than up to the last change, so a batch that stalls slows down instead of
    keeping its last speed. ``samples`` are in the order of time.
    """
    if len(samples) < 2:
        return None
    recent = within_window(samples, now)
    span = now - recent[0].at
    done = recent[-1].finished - recent[0].finished
    if span < SHORTEST_SPAN_SECONDS or done <= 0:
        return None
    return done / span


def within_window(samples: Sequence[Sample], now: float) -> Sequence[Sample]:
    """The samples of the window and the newest one before it, from which the window's first rate is measured."""
    start = now - RATE_WINDOW_SECONDS
    older = sum(1 for sample in samples if sample.at <= start)
    return samples[max(0, older - 1) :]


def seconds_left(remaining: int, rate: float | None) -> int | None:
    """Whole seconds until the last item, rounded up; 0 when nothing is left, ``None`` while the rate is unknown."""
    if remaining <= 0:
        return 0
    if not rate or rate <= 0:
        return None
    return math.ceil(remaining / rate)
