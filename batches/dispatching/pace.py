"""How many items to hand out for a limited rate: a little more than the limit will admit, and no more.

The limit itself is held by the workers' reservations. The pace only keeps the dispatcher from leasing a whole batch
that would then wait in the workers, out of reach of fairness, pause and cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

AHEAD = 1.15
"""Faster than the limit, so that the limit decides; the excess comes back as a few snoozes."""
BURST_SECONDS = 0.5


@dataclass(slots=True)
class Pace:
    """An allowance that grows with time, up to half a second's worth (at least two, so that fractions add up)."""

    per_second: float
    updated_at: float
    allowance: float = 1.0

    def available(self, now: float) -> int:
        """Whole items that may be handed out at ``now`` (monotonic seconds)."""
        ceiling = max(2.0, self.per_second * BURST_SECONDS)
        grown = self.allowance + max(0.0, now - self.updated_at) * self.per_second * AHEAD
        self.allowance, self.updated_at = min(ceiling, grown), now
        return int(self.allowance)

    def spend(self, number: int) -> None:
        """So many were handed out."""
        self.allowance -= number


class Paces:
    """The paces of all limits in use, by name; a changed rate takes effect at once."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}

    def get(self, name: str, per_second: float, now: float) -> Pace:
        """The pace of a limit, made at first use."""
        pace = self._paces.get(name)
        if pace is None:
            pace = self._paces[name] = Pace(per_second, now)
        pace.per_second = per_second
        return pace

    def forget_idle(self, now: float, seconds: float = 3600.0) -> None:
        """Drop what was not used for an hour: batches end, their limits with them."""
        for name in [name for name, pace in self._paces.items() if now - pace.updated_at > seconds]:
            del self._paces[name]


def slow_start(seconds_since_reopening: float) -> int:
    """Calls in flight allowed after an account reopened: 8 at once, doubled every second."""
    return int(8 * 2 ** min(max(seconds_since_reopening, 0.0), 20.0))


ACQUAINTANCE = 50


def acquaintance(seconds_since_first_call: float) -> int:
    """Calls allowed in all before an account's very first answer, which says what its limits are: a limit of fifty a
    second is not learned by a thousand refusals. Doubled every second, for one whose answers take long."""
    return int(ACQUAINTANCE * 2 ** min(max(seconds_since_first_call, 0.0), 20.0))
