"""Items in doubt: a message that may have left, and no answer came. Evidence settles it as a late answer does."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import connection, transaction

from batches.accounts import known_provider
from batches.backoff import RetryPolicy
from batches.models import Item
from batches.outcomes import Succeeded
from batches.progress import BatchFacts
from batches.running import record_statements as statements
from batches.running.changes import Change, Held, change_of
from batches.running.leases import LeasedItem
from batches.states import ItemStatus
from batches.templating import TemplateError, parse
from providers.prices import SEGMENTS
from providers.sms.segments import segments

_NO_POLICY = RetryPolicy(max_retries=None, window_seconds=0, backoff_seconds=None)
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
    if not changes:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        healed, settled = statements.settle_unknown(cursor, changes)
        facts = statements.count(cursor, [], healed, settled)
        statements.write_histograms(cursor, [], healed, settled)
    return facts


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
