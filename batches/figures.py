"""A batch in figures, from its counters and histograms alone: no item row is read, however many there are."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from batches.histogram import percentile
from batches.models import Batch, BatchHistogram
from batches.running.record_statements import QUALITY_BUCKETS, QUALITY_PARTS, TIMELINE_SECONDS

Buckets = Mapping[int, int]

QUALITY_RANGES = 5
"""The quality distribution is shown in so many ranges of [0, 1]."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, each time, in milliseconds. ``total`` is exact, percentiles are within 2 %.

    ``at_once``: how often it took no time at all; these are in no bucket.
    """

    buckets: Buckets
    total: int
    at_once: int = 0

    @property
    def measured(self) -> int:
        """How often."""
        return self.at_once + sum(self.buckets.values())

    @property
    def average(self) -> float | None:
        """Exact; None while nothing was measured."""
        return round(self.total / self.measured, 1) if self.measured else None

    def at_most(self, share: float) -> float | None:
        """What ``share`` (in [0, 1]) of them took at most; None while nothing was measured."""
        if not self.measured:
            return None
        beyond = max(1, math.ceil(share * self.measured)) - self.at_once
        return round(percentile(self.buckets, beyond / sum(self.buckets.values())), 1) if beyond > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the recorder has counted of one batch, by measure and bucket: see :class:`BatchHistogram`."""

    measures: Mapping[str, Buckets]

    @classmethod
    def of(cls, batch: Batch) -> Figures:
        """Read them: a few hundred rows at most."""
        measures: dict[str, dict[int, int]] = defaultdict(dict)
        rows = BatchHistogram.objects.filter(batch=batch).values_list("measure", "bucket", "count")
        for measure, bucket, count in rows:
            measures[measure][bucket] = count
        return cls(measures)

    def _sum(self, measure: str) -> int:
        return sum(self.measures.get(measure, {}).values())

    def _by_category(self, prefix: str) -> Counter[str]:
        return Counter(
            {name.removeprefix(prefix): self._sum(name) for name in self.measures if name.startswith(prefix)}
        )

    def errors(self) -> list[tuple[str, int]]:
        """Calls that failed, by category, the most frequent first."""
        return _ordered(self._by_category("error:"))

    def failures(self) -> list[tuple[str, int]]:
        """Items that stand failed, by category, the most frequent first."""
        return _ordered(self._by_category("failed:") - self._by_category("healed:"))

    @property
    def durations(self) -> Times:
        """Of the calls that decided an item, at the provider."""
        return Times(self.measures.get("duration", {}), self._sum("duration_sum"))

    @property
    def queued(self) -> Times:
        """How long items waited for their turn, each time: from when they were due until a worker began with them."""
        return Times(self.measures.get("queued", {}), self._sum("queued_sum"))

    @property
    def limited(self) -> Times:
        """How long they waited for limits after that, ours and the provider's (429), also where they did not at all."""
        waits = self.measures.get("waited", {})
        return Times(waits, self.waited, at_once=max(0, self.queued.measured - sum(waits.values())))

    @property
    def calls(self) -> int:
        """Attempts that were made."""
        return self._sum("calls")

    @property
    def waited(self) -> int:
        """Milliseconds that calls waited for limits."""
        return self._sum("waited_sum")

    @property
    def used(self) -> Counter[str]:
        """What providers bill, by unit."""
        return self._by_category("used:")

    @property
    def simulated(self) -> Counter[str]:
        """What they would bill, had not the sandbox answered."""
        return self._by_category("simulated:")

    @property
    def costs(self) -> dict[str, int]:
        """What that cost, by measure: see :func:`batches.money.costs.cost_of`."""
        return {name: self._sum(name) for name in self.measures if name.startswith("spent") or name == "unpriced"}

    @property
    def deliveries(self) -> Counter[str]:
        """Messages by what finally became of them."""
        return self._by_category("delivery:")

    @property
    def average_quality(self) -> float | None:
        """In [0, 1], exact; None where nothing was judged."""
        judged = self._sum("quality")
        return round(self._sum("quality_sum") / QUALITY_PARTS / judged, 4) if judged else None

    def qualities(self) -> list[tuple[str, int]]:
        """Items per range of quality, the best first; ranges without any are left out."""
        width = QUALITY_BUCKETS // QUALITY_RANGES
        counts: Counter[int] = Counter()
        for bucket, count in self.measures.get("quality", {}).items():
            counts[bucket // width] += count
        return [(_range_name(place), counts[place]) for place in sorted(counts, reverse=True) if counts[place]]

    def finished_by_slot(self) -> dict[int, int]:
        """Items that became final in each ten-second slot of the epoch in which any did."""
        return dict(self.measures.get("finished", {}))

    def progress(self, most: int) -> list[tuple[int, int]]:
        """How many items were final at the end of up to ``most`` stretches of time (in epoch seconds), oldest first.

        Items that run again are taken off again; the last stretch says how many are final now.
        """
        changes = Counter(self.finished_by_slot())
        changes.subtract(self.measures.get("reopened", {}))
        if not changes:
            return []
        first, last = min(changes), max(changes)
        stretch = max(1, -(-(last - first + 1) // most))
        ends: dict[int, int] = {}
        finished = 0
        for slot in sorted(changes):
            finished += changes[slot]
            ends[(slot - first) // stretch] = finished
        return [((first + (place + 1) * stretch) * TIMELINE_SECONDS, count) for place, count in ends.items()]


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count > 0), key=lambda pair: (-pair[1], pair[0]))


def _range_name(place: int) -> str:
    return f"{place / QUALITY_RANGES:.1f}-{(place + 1) / QUALITY_RANGES:.1f}"
