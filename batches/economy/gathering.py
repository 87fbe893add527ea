"""The dispatcher's part: due items of economy batches become provider batches, one transaction each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection, transaction

from batches.accounts import known_provider
from batches.economy.waits import COMPANY_SECONDS, scaled
from batches.models import Lease, ProviderBatch
from batches.states import ECONOMY_LANE, SUSPECT_DEATHS
from providers.base import answers_batches

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When such a lease expires."""
HOLDER = "economy"
"""Who has such a lease: no worker, so that no message is sent for it."""
AT_ONCE = 20
"""Provider batches made by one call: the dispatcher has other duties."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running economy batch. ``collecting``: whether answers are being read from which items may come back."""

    id: int
    channel: str
    provider: str
    total: int
    loaded: bool
    collecting: bool
    first_tries: bool

    @property
    def lines(self) -> int:
        """A tenth of the batch, within reason: small enough that results come before all is done."""
        most: int = settings.ECONOMY_MOST_LINES
        provider = known_provider(self.provider)
        if provider is not None and answers_batches(provider):
            most = min(most, provider.batch_limits.lines)
        return max(1, min(most, max(settings.ECONOMY_LEAST_LINES, self.total // 10)))


_CANDIDATES = """
    SELECT batch.id, batch.channel, batch.provider, batch.total, batch.loaded_at IS NOT NULL,
           EXISTS (SELECT FROM batches_providerbatch AS waiting
                    WHERE waiting.batch_id = batch.id AND waiting.step = 'collecting'),
           batch.economy_retries = 'fast'
      FROM batches_batch AS batch
     WHERE batch.settled_at IS NULL AND batch.status = 'running' AND batch.mode = 'economy'
       AND batch.fast_since IS NULL AND batch.deleted_at IS NULL
       AND batch.total > batch.succeeded + batch.failed + batch.cancelled + batch.unknown
     ORDER BY batch.id
"""
_WAITING = f"""
    item.batch_id = %s AND item.status = 'pending' AND item.deaths < {SUSPECT_DEATHS}
    AND (item.attempts = 0 OR NOT %s)
"""
_LOOK = f"""
    SELECT count(*), COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(due_at)), 0)::float8,
           EXISTS (SELECT FROM batches_item AS item WHERE {_WAITING} AND item.due_at > clock_timestamp())
      FROM (SELECT item.due_at FROM batches_item AS item
             WHERE {_WAITING} AND item.due_at <= clock_timestamp()
             ORDER BY item.due_at, item.id LIMIT %s) AS due
"""
_TAKE = f"""
    SELECT item.id FROM batches_item AS item
     WHERE {_WAITING} AND item.due_at <= clock_timestamp()
     ORDER BY item.due_at, item.id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_HOLD = "UPDATE batches_item SET status = 'running', lease_id = %s WHERE id = ANY(%s)"


def gather() -> int:
    """Make provider batches of what is due; returns how many. A kill leaves all of one or nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES)
        candidates = [Candidate(*row) for row in cursor.fetchall()]
    made = 0
    for candidate in candidates:
        while made < AT_ONCE and _is_time(candidate) and _make(candidate):
            made += 1
    return made


def _is_time(candidate: Candidate) -> bool:
    """A whole provider batch goes at once; fewer items only when no others are about to come, or after a while."""
    waiting = [candidate.id, candidate.first_tries]
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, [*waiting, *waiting, candidate.lines])
        number, waited_seconds, more_are_due_later = cursor.fetchone()
    if number == 0:
        return False
    alone = candidate.loaded and not candidate.collecting and not more_are_due_later
    return bool(number >= candidate.lines or alone or waited_seconds >= scaled(COMPANY_SECONDS))


@transaction.atomic
def _make(candidate: Candidate) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [candidate.id, candidate.first_tries, candidate.lines])
        item_ids = [row[0] for row in cursor.fetchall()]
        if not item_ids:
            return False
        lease = Lease.objects.create(
            batch_id=candidate.id,
            lane=ECONOMY_LANE,
            channel=candidate.channel,
            provider=candidate.provider,
            size=len(item_ids),
            remaining=len(item_ids),
            worker=HOLDER,
            accepted_at=datetime.now(UTC),
            expires_at=NEVER,
        )
        cursor.execute(_HOLD, [lease.pk, item_ids])
    ProviderBatch.objects.create(
        batch_id=candidate.id, provider=candidate.provider, lease_id=lease.pk, size=len(item_ids)
    )
    return True
