"""Items in doubt: a message that may have left, and no answer came. Evidence settles it as a late answer does."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from django.db import connection, transaction
from django.db.models import F, QuerySet

from batches import audit, events
from batches.backoff import RetryPolicy
from batches.models import Batch, Item
from batches.outcomes import Succeeded
from batches.progress import BatchFacts
from batches.provider_accounts.accounts import known_provider
from batches.running import record_statements as statements
from batches.running.changes import Change, Held, change_of
from batches.running.leases import LeasedItem
from batches.states import ItemStatus
from batches.templating import TemplateError, parse
from providers.prices import SEGMENTS
from providers.sms.segments import segments

_NO_POLICY = RetryPolicy(max_retries=None, window_seconds=0, backoff_seconds=None)
CHUNK = 1_000
_LATE = 0
"""No lease has this number: what is told under it is late."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A provider's word that it has the message of this attempt, under its own id."""

    provider: str
    attempt_id: uuid.UUID
    provider_reference: str
    status: str


def settle(evidence: Iterable[Evidence]) -> list[BatchFacts]:
    """Let items in doubt succeed by what their provider says; returns the facts of their batches.

    Segments, cost, counters and histograms follow, by the recorder's own statements, in one transaction.
    """
    by_attempt = {one.attempt_id: one for one in evidence}
    if not by_attempt:
        return []
    items = Item.objects.filter(attempt_id__in=list(by_attempt), status=ItemStatus.UNKNOWN).select_related("batch")
    found = [(item, by_attempt[item.attempt_id]) for item in items if item.attempt_id is not None]
    # Another account's word is none.
    changes = [_success(item, one) for item, one in found if one.provider == provider_of(item)]
    return _write(changes)[1] if changes else []


@transaction.atomic
def _write(changes: Sequence[Change]) -> tuple[int, list[BatchFacts]]:
    """How many items were still in doubt, and the facts of their batches."""
    with connection.cursor() as cursor:
        healed, settled = statements.settle_unknown(cursor, changes)
        facts = statements.count(cursor, [], healed, settled)
        statements.write_histograms(cursor, [], healed, settled)
    return len(settled), facts


def confirm(batch: Batch, *, actor_id: int | None, positions: Sequence[int] | None = None) -> int:
    """A person knows that these messages were sent: items in doubt succeed. Returns how many."""
    return _in_chunks(batch, positions, "confirm_unknown", actor_id, _confirm)


def give_up(batch: Batch, *, actor_id: int | None, positions: Sequence[int] | None = None) -> int:
    """A person knows that these messages were not sent: items in doubt have failed, and may be retried. Returns how
    many."""
    return _in_chunks(batch, positions, "give_up_unknown", actor_id, _give_up)


def _in_chunks(
    batch: Batch,
    positions: Sequence[int] | None,
    action: str,
    actor_id: int | None,
    settle_chunk: Callable[[Batch, Sequence[Item]], int],
) -> int:
    """Items and counters move together in chunks, so at any moment they agree."""
    moved = last = 0
    while chunk := list(_in_doubt(batch, positions).filter(pk__gt=last)[:CHUNK]):
        last = chunk[-1].pk
        with transaction.atomic():
            if number := settle_chunk(batch, chunk):
                audit.record(action, batch, actor_id=actor_id, items=number)
                moved += number
    batch.refresh_from_db()
    if moved:
        events.announce_progress(batch)
    return moved


def _in_doubt(batch: Batch, positions: Sequence[int] | None) -> QuerySet[Item]:
    items = batch.items.filter(status=ItemStatus.UNKNOWN).select_related("batch").order_by("pk")
    return items if positions is None else items.filter(position__in=positions)


def _confirm(batch: Batch, items: Sequence[Item]) -> int:
    known = [item for item in items if item.attempt_id is not None]
    evidence = [Evidence(provider_of(item), item.attempt_id, "", "confirmed") for item in known if item.attempt_id]
    return _write([_success(item, one) for item, one in zip(known, evidence, strict=True)])[0]


_GIVE_UP = """
    WITH chosen AS (
        SELECT id FROM batches_item WHERE id = ANY(%s) AND status = 'unknown' ORDER BY id FOR UPDATE
    )
    UPDATE batches_item AS item SET status = 'failed' FROM chosen WHERE item.id = chosen.id
"""


def _give_up(batch: Batch, items: Sequence[Item]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_UP, [[item.pk for item in items]])
        number: int = cursor.rowcount
    Batch.objects.filter(pk=batch.pk).update(unknown=F("unknown") - number, failed=F("failed") + number)
    return number


def provider_of(item: Item) -> str:
    """Alias of the account that its last call went to."""
    return item.provider or item.batch.provider


def _success(item: Item, evidence: Evidence) -> Change:
    body = message_of(item)
    number = segments(body).number if body is not None else 0
    provider = known_provider(evidence.provider)
    held = Held(
        LeasedItem(item.pk, item.key, item.input, item.attempts, item.failures, 0.0),
        item.batch_id,
        _LATE,
        evidence.provider,
        idempotent=False,
        policy=_NO_POLICY,
        simulated=provider is not None and provider.uses_sandbox,
    )
    outcome = Succeeded({"status": evidence.status, "segments": number}, provider_reference=evidence.provider_reference)
    change = change_of(outcome, held, attempt_id=evidence.attempt_id, used={SEGMENTS: number})
    return replace(change, duration_ms=None)


def message_of(item: Item) -> str | None:
    """The text of an item of a campaign; None where it cannot be made any more."""
    try:
        return parse(item.batch.parameters["text"]).render(item.input.get("variables", {}))
    except (TemplateError, KeyError):
        return None
