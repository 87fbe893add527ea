"""What became of lines, written by the recorder's own statements: guarded by the lease, so never twice."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from batches.backoff import RetryPolicy
from batches.models import ProviderBatch
from batches.outcomes import Outcome, Rejected, Retry
from batches.progress import publisher
from batches.running.changes import Change, Held, change_of
from batches.running.context import BatchContext
from batches.running.leases import LeasedItem
from batches.running.recorder import commit

MOST_ROUNDS = 5
"""An item that was asked for so often in economy mode has failed, where the batch names no number of retries.

The retry window cannot end it: one line may wait for a day, six hours after its first attempt it may just have begun.
"""
ENDLESS_SECONDS = 10 * 365 * 86_400.0


def change_in_economy(
    outcome: Outcome, row: ProviderBatch, context: BatchContext, item: LeasedItem, used: Mapping[str, int] | None = None
) -> Change:
    """What to write of an item whose line came back, or that needs none.

    Its duration is not known: how long it was in the provider's hands says nothing of a call. A rate limit within a
    provider's batch closes no account: that batch is over, and fast calls have limits of their own.
    """
    if isinstance(outcome, Retry) and context.policy.max_retries is None and item.attempts + 1 >= MOST_ROUNDS:
        outcome = Rejected(outcome.fault)
    policy = RetryPolicy(context.policy.max_retries, ENDLESS_SECONDS, context.policy.backoff_seconds)
    held = Held(
        item,
        row.batch_id,
        row.lease_id or 0,
        context.provider.alias,
        context.provider.idempotent,
        policy,
        context.provider.uses_sandbox,
    )
    change = change_of(outcome, held, attempt_id=uuid.uuid4(), used=used)
    failures = int(bool(change.attempts and change.fault))
    return replace(change, duration_ms=None, closes_account_seconds=0.0, failures=failures)


def record(changes: Sequence[Change]) -> None:
    """Commit them and tell who watches. Raises what the database raises."""
    if changes:
        commit(changes, partial(publisher.announce, "progress"))
