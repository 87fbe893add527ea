"""What an operator should know and nothing mends by itself: workers that take nothing, lanes that wait too long.

The leading dispatcher looks every ten seconds, says each concern in its log once a minute, and leaves them in its own
row of :class:`batches.models.Worker`, where ``/readyz`` and the admin read them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from batches.dispatching.window import Runnable, Window
from batches.limits import limits_of
from batches.models import Worker, WorkerRole
from batches.models.engine import SEEN_WITHIN
from batches.provider_accounts.accounts import known_provider
from batches.states import lane_name

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30
"""A worker with room that accepted nothing for so long, while leases waited, is named; soon it ends itself."""
WAITING_SECONDS = 8
SAID_SECONDS = 60.0

WORKER_IDLE, LANE_BEHIND, LANE_STANDS = "worker_accepts_nothing", "lane_is_behind", "lane_stands_still"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One of them. ``seconds``: how long; ``subject``: the boot id of a worker, or the public id of a batch."""

    kind: str
    lane: str
    seconds: int
    subject: str

    @property
    def words(self) -> str:
        """For logs and pages of staff."""
        if self.kind == WORKER_IDLE:
            return f"Worker {self.subject} has accepted nothing for {self.seconds} s, while leases wait in {self.lane}."
        waits = f"Lane {self.lane}: its oldest due item (of {self.subject}) has waited for {self.seconds} s"
        if self.kind == LANE_BEHIND:
            return f"{waits}; items are handed out, but more come than the workers can take."
        return f"{waits}, and nothing of that batch was handed out meanwhile."


_IDLE_WORKERS = f"""
    SELECT worker.boot_id, lease.lane, (worker.figures->>'idle_seconds')::int
      FROM batches_worker AS worker
     CROSS JOIN LATERAL (
        SELECT lease.lane FROM batches_lease AS lease
         WHERE lease.worker = '' AND lease.lane <> 'solo' AND lease.expires_at > now()
           AND lease.created_at < now() - interval '{WAITING_SECONDS} seconds'
           AND (worker.figures->'lanes' IS NULL OR worker.figures->'lanes' ? lease.lane)
         ORDER BY lease.id LIMIT 1
     ) AS lease
     WHERE worker.role = 'worker' AND worker.seen_at > now() - interval '10 seconds'
       AND (worker.figures->>'has_room')::boolean AND (worker.figures->>'idle_seconds')::int >= {IDLE_SECONDS}
     ORDER BY worker.boot_id
"""


def idle_workers() -> list[Concern]:
    """Workers that beat, have room and accept nothing, although leases that they could have wait."""
    with connection.cursor() as cursor:
        cursor.execute(_IDLE_WORKERS)
        return [
            Concern(kind=WORKER_IDLE, lane=lane, seconds=seconds, subject=boot_id)
            for boot_id, lane, seconds in cursor.fetchall()
        ]


# One look into the claim's index per batch, however many items wait.
_OLDEST_DUE = """
    SELECT batch.id, batch.public_id, EXTRACT(EPOCH FROM now() - due.at)::int
      FROM batches_batch AS batch
     CROSS JOIN LATERAL (
        SELECT item.due_at AS at FROM batches_item AS item
         WHERE item.batch_id = batch.id AND item.status = 'pending'
         ORDER BY item.due_at, item.id LIMIT 1
     ) AS due
     WHERE batch.id = ANY(%s) AND due.at < now() - %s * interval '1 second'
"""


def waiting_lanes(window: Window, served_at: Mapping[int, float], now: float) -> list[Concern]:
    """Per lane, the batch whose due items have waited longest, beyond the setting ``LANE_WAIT_SECONDS``.

    Not counted: batches of closed accounts, and those that wait for a limit of their own (a rate, a concurrency) and
    were served meanwhile. ``served_at``: when something of a batch was handed out (monotonic, as ``now``).
    """
    limit = settings.LANE_WAIT_SECONDS
    batches = {
        batch.id: batch
        for batch in window.batches
        if batch.provider not in window.reopening_in and not window.state(batch.provider).is_open
    }
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_DUE, [list(batches), limit])
        waiting = sorted(cursor.fetchall(), key=lambda row: -row[2])
    served = {batch_id for batch_id, instant in served_at.items() if now - instant < limit}
    passing = {name for batch in batches.values() if batch.id in served for name in _limits(batch)}
    found: dict[tuple[str, str], Concern] = {}
    for batch_id, public_id, seconds in waiting:
        batch = batches[batch_id]
        if passing & _limits(batch) or _waits_for_its_own(batch, window, served):
            continue
        concern = Concern(
            kind=LANE_BEHIND if batch_id in served else LANE_STANDS,
            lane=lane_name(batch.channel, batch.priority),
            seconds=seconds,
            subject=public_id,
        )
        found.setdefault((concern.kind, concern.lane), concern)
    return list(found.values())


def _limits(batch: Runnable) -> set[str]:
    """The limits of a batch, most of them shared with others: while they let anybody pass, they explain the wait."""
    return {limit.name for limit in limits_of(batch, known_provider(batch.provider))}


def _waits_for_its_own(batch: Runnable, window: Window, served: Set[int]) -> bool:
    """Whether its items wait because it wants no more of them under way."""
    if batch.concurrency is None:
        return False
    return batch.id in served or window.leased_by_batch.get(batch.id, 0) >= batch.concurrency


class Concerns:
    """Says what is new at once and what lasts once a minute, and leaves all of it where others read it."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str, str], float] = {}

    def tell(self, boot_id: str, found: Sequence[Concern], now: float, **figures: int) -> None:
        """Log, and write into the dispatcher's own row, with the other ``figures`` that it has to tell."""
        told = {"concerns": [asdict(concern) for concern in found], **figures}
        Worker.objects.filter(pk=boot_id).update(figures=told)
        said = {}
        for concern in found:
            key = (concern.kind, concern.lane, concern.subject if concern.kind == WORKER_IDLE else "")
            said[key] = self._said.get(key, -SAID_SECONDS)
            if now - said[key] >= SAID_SECONDS:
                said[key] = now
                logger.warning("%s", concern.words)
        self._said = said


def current_concerns() -> list[Concern]:
    """What the leading dispatcher found last; empty while none leads."""
    leaders = Worker.objects.filter(role=WorkerRole.DISPATCHER, seen_at__gte=Now() - SEEN_WITHIN)
    rows: Iterable[dict[str, Any]] = leaders.filter(capacity__has_key="leader").values_list("figures", flat=True)
    return [Concern(**each) for figures in rows for each in figures.get("concerns", [])]
