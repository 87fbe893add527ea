"""What this process has recorded since its boot, for ``/metrics``: added up per group, told with the figures."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from batches.running.changes import Change
from batches.states import FINAL_ITEM_STATUSES

BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Upper ends of the classes of durations, in milliseconds; what took longer is in one more class."""
OPTED_OUT = "opted_out"
"""The code of a message that was not sent because its recipient wants none."""
NO_CALL = "snoozed"
"""The outcome of an item that went back without a call."""


class Tally:
    """Counts by provider: outcomes with their fault's category, durations, waits for turns and limits; groups."""

    def __init__(self) -> None:
        self._outcomes: Counter[tuple[str, str, str]] = Counter()
        self._durations: Counter[tuple[str, int]] = Counter()
        self._duration_ms: Counter[str] = Counter()
        self._waited_ms: Counter[str] = Counter()
        self._queued_ms: Counter[str] = Counter()
        self._opted_out: Counter[str] = Counter()
        self._groups = self._items = 0
        self._calls: Counter[str] = Counter()
        self._asked_at = time.monotonic()

    def add(self, group: Sequence[Change]) -> None:
        """One group that was committed."""
        self._groups += 1
        self._items += len(group)
        for change in group:
            outcome = str(change.status) if change.attempts or change.status in FINAL_ITEM_STATUSES else NO_CALL
            self._calls[change.provider] += change.attempts
            self._outcomes[change.provider, outcome, str(change.fault.category) if change.fault else ""] += 1
            if change.attempts and change.duration_ms is not None:
                self._durations[change.provider, class_of(change.duration_ms)] += 1
                self._duration_ms[change.provider] += change.duration_ms
            if change.fault is not None and change.fault.code == OPTED_OUT:
                self._opted_out[change.provider] += 1
            if change.waited_ms:
                self._waited_ms[change.provider] += change.waited_ms
            if change.queued_ms:
                self._queued_ms[change.provider] += change.queued_ms

    def calls_per_second(self) -> dict[str, float]:
        """Of each provider, since this was last asked."""
        now = time.monotonic()
        seconds, self._asked_at = max(0.001, now - self._asked_at), now
        rates = {alias: round(number / seconds, 2) for alias, number in self._calls.items() if number and alias}
        self._calls.clear()
        return rates

    def as_figures(self) -> dict[str, Any]:
        """All of it as a small JSON object; :mod:`batches.metrics.collector` reads it."""
        return {
            "outcomes": [[*key, number] for key, number in self._outcomes.items()],
            "durations": [[*key, number] for key, number in self._durations.items()],
            "duration_ms": dict(self._duration_ms),
            "waited_ms": dict(self._waited_ms),
            "queued_ms": dict(self._queued_ms),
            "opted_out": dict(self._opted_out),
            "groups": self._groups,
            "items": self._items,
        }


def class_of(milliseconds: int) -> int:
    """The number of the class of a duration."""
    return bisect_left(BOUNDS_MS, milliseconds)
