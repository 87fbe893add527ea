"""The dispatcher's part: due items of economy batches become provider batches, one transaction each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from batches.dispatching.probes import was_made
from batches.economy.switching import PROBE, asked_in_economy
from batches.economy.waits import COMPANY_SECONDS, scaled
from batches.models import Lease, ProviderBatch
from batches.money import budgets
from batches.provider_accounts.account_states import read_states
from batches.provider_accounts.accounts import known_provider
from batches.states import ECONOMY_LANE, SUSPECT_DEATHS, Step
from providers.base import answers_batches

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When such a lease expires."""
HOLDER = "economy"
"""Who has such a lease: no worker, so that no message is sent for it."""
ITEMS_AT_ONCE = 5_000
"""One call stops once it has gathered so many: the dispatcher has other duties."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running economy batch. ``collecting``: whether answers are being read from which items may come back.

    ``fitted``: as many lines as went into the last provider batch that was too small for all of its items.
    """

    id: int
    channel: str
    provider: str
    total: int
    loaded: bool
    collecting: bool
    first_tries: bool
    fitted: int | None
    when_unavailable: str
    fallbacks: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        """A tenth of the batch, within reason: small enough that results come before all is done."""
        most: int = settings.ECONOMY_MOST_LINES
        provider = known_provider(self.provider)
        if provider is not None and answers_batches(provider):
            most = min(most, provider.batch_limits.lines)
        if self.fitted is not None:
            most = min(most, 2 * self.fitted)
        return max(1, min(most, max(settings.ECONOMY_LEAST_LINES, self.total // 10)))


_CANDIDATES = """
    SELECT batch.id, batch.channel, batch.provider, batch.total, batch.loaded_at IS NOT NULL,
           EXISTS (SELECT FROM batches_providerbatch AS waiting
                    WHERE waiting.batch_id = batch.id AND waiting.step = 'collecting'),
           batch.economy_retries = 'fast',
           (SELECT size FROM batches_providerbatch AS cut
             WHERE cut.batch_id = batch.id AND cut.remote ? 'cut' ORDER BY cut.id DESC LIMIT 1),
           batch.when_unavailable, batch.fallbacks
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
    """Make provider batches of what is due; returns how many items. A kill leaves all of one or nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES)
        rows = cursor.fetchall()
        states = read_states(cursor) if rows else {}
    gathered = 0
    for *facts, fallbacks in rows:
        own = replace(Candidate(*facts), fallbacks=tuple(json.loads(fallbacks)))
        asked = asked_in_economy(own.provider, own.when_unavailable, own.fallbacks, states)
        candidate = replace(own, provider=asked)
        if candidate != own and (states[own.provider].probe_in or 0.0) <= 0:
            gathered += _probe(own)
        while gathered < ITEMS_AT_ONCE and _is_time(candidate) and (number := _make(candidate)):
            gathered += number
    return gathered


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


def _probe(candidate: Candidate) -> int:
    """One item to a provider that refused the account, to find out whether it still does; not while one is out."""
    unsubmitted = ProviderBatch.objects.filter(provider=candidate.provider, step__in=[Step.GATHERED, Step.SUBMITTING])
    if unsubmitted.exists():
        return 0
    number = _make(candidate, most=1, remote={PROBE: True})
    if number:
        was_made(candidate.provider)
    return number


@transaction.atomic
def _make(candidate: Candidate, most: int | None = None, remote: Mapping[str, Any] = MappingProxyType({})) -> int:
    lines = candidate.lines if most is None else most
    affordable = budgets.rooms().get(candidate.id, lines)
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [candidate.id, candidate.first_tries, min(lines, affordable)])
        item_ids = [row[0] for row in cursor.fetchall()]
        if not item_ids:
            return 0
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
        batch_id=candidate.id, provider=candidate.provider, lease_id=lease.pk, size=len(item_ids), remote=dict(remote)
    )
    return len(item_ids)
