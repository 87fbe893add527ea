"""What one web process knows of the batches that its sockets watch. No input or output: facts in, sights out.

Messages of several workers may arrive out of order, so a message never takes a batch backwards: only the database,
which is read every few seconds, may lower a count (failed items were retried).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from batches.live.eta import SHORTEST_SPAN_SECONDS, Sample, items_per_second, seconds_left, within_window
from batches.progress import BatchFacts
from batches.states import FINAL_BATCH_STATUSES, BatchStatus

SETTLED_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A batch as the database has it. ``settled``: its last item is final, so nothing will change by itself."""

    facts: BatchFacts
    settled: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What a watcher is told of a batch."""

    facts: BatchFacts
    rate: float | None = None
    eta: int | None = None


@dataclass(slots=True)
class _Entry:
    facts: BatchFacts
    at: float
    changed_at: float
    settled: bool = False
    samples: list[Sample] = field(default_factory=list)


class Board:
    """The newest facts of each batch. ``now`` is passed in everywhere: epoch seconds of this process."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def hear(self, facts: BatchFacts, *, at: float, now: float) -> bool:
        """Take a published message (said ``at``); whether it told something new."""
        entry = self._entries.get(facts.pk)
        if entry is None:
            self._begin(facts, at=at, now=now)
            return True
        if not _is_newer(facts, at, entry):
            return False
        changed = facts != entry.facts
        self._update(entry, facts, at=at, now=now)
        entry.settled = False
        return changed

    def read(self, reading: Reading, *, started: float, now: float) -> bool:
        """Take a row whose query ``started`` then; whether it told something new.

        A message that arrived while the query ran may be newer than the row: then the row cannot lower the counts.
        """
        facts = reading.facts
        entry = self._entries.get(facts.pk)
        if entry is None:
            entry = self._begin(facts, at=started, now=now)
            entry.settled = reading.settled
            return True
        overtaken = entry.changed_at >= started and facts.finished <= entry.facts.finished
        if overtaken:
            return False
        changed = facts != entry.facts
        self._update(entry, facts, at=max(entry.at, started) if changed else entry.at, now=now)
        entry.settled = reading.settled
        return changed

    def sight(self, pk: int, now: float) -> Sight | None:
        """What to tell of a batch; ``None`` when nothing is known of it."""
        entry = self._entries.get(pk)
        if entry is None:
            return None
        facts = entry.facts
        final = facts.status in FINAL_BATCH_STATUSES
        running = facts.status == BatchStatus.RUNNING
        rate = items_per_second(entry.samples, now) if running else None
        eta = 0 if final else seconds_left(facts.total - facts.finished, rate) if running else None
        return Sight(facts=facts, rate=rate, eta=eta)

    def unsettled(self) -> list[int]:
        """The batches of which the database has not said yet that they are over."""
        return [pk for pk, entry in self._entries.items() if not entry.settled]

    def forget(self, *, owners: Iterable[int], now: float) -> None:
        """Keep what these owners may still see change. What is over stays a minute, so that a message that was late
        cannot bring it back to life; a watcher who comes later reads the database."""
        watching = frozenset(owners)
        self._entries = {
            pk: entry
            for pk, entry in self._entries.items()
            if entry.facts.owner_id in watching
            and not (entry.settled and now - entry.changed_at > SETTLED_KEPT_SECONDS)
        }

    def _begin(self, facts: BatchFacts, *, at: float, now: float) -> _Entry:
        entry = _Entry(facts=facts, at=at, changed_at=now)
        if facts.started_at is not None:
            # The average since the start stands in until the window has filled.
            entry.samples.append(Sample(facts.started_at, 0))
        entry.samples.append(Sample(now, facts.finished))
        self._entries[facts.pk] = entry
        return entry

    def _update(self, entry: _Entry, facts: BatchFacts, *, at: float, now: float) -> None:
        restarted = facts.finished < entry.facts.finished or facts.status != entry.facts.status
        if restarted:
            entry.samples = []
        if facts != entry.facts:
            entry.changed_at = now
        entry.facts, entry.at = facts, at
        _add_sample(entry, Sample(now, facts.finished))


def _is_newer(facts: BatchFacts, at: float, entry: _Entry) -> bool:
    if facts.finished != entry.facts.finished:
        return facts.finished > entry.facts.finished
    if entry.facts.status in FINAL_BATCH_STATUSES and facts.status not in FINAL_BATCH_STATUSES:
        return False  # the last worker's message, overtaken by the dispatcher's
    return at >= entry.at


def _add_sample(entry: _Entry, sample: Sample) -> None:
    """Keep about one sample a second, and always the newest count."""
    samples = entry.samples
    if len(samples) >= 2 and sample.at - samples[-2].at < SHORTEST_SPAN_SECONDS:
        samples[-1] = sample
    else:
        samples.append(sample)
    entry.samples = list(within_window(samples, sample.at))
