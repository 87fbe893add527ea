"""Batches that were really stored, and attempts on their items with a provider that answers what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batches.models import Batch, Item
from batches.operations import Attempt, get_operation
from batches.outcomes import Outcome, Snooze
from batches.submission import submit_batch
from providers.base import Provider


def submitted(owner_id: int, operation: str, payload: Mapping[str, Any]) -> Batch:
    """Build and store a batch, as the front door does."""
    return submit_batch(owner_id=owner_id, new=get_operation(operation).build(owner_id, payload))


def attempt_on(item: Item, provider: Provider) -> Attempt:
    """The attempt a worker would make."""
    return Attempt(
        item_id=item.pk,
        owner_id=item.batch.owner_id,
        key=item.key,
        input=item.input,
        parameters=item.batch.parameters,
        provider=provider,
        reference="attempt-1",
        timeout_seconds=20.0,
    )


def run_to_the_end(item: Item, provider: Provider, *, most: int = 100) -> Outcome:
    """One attempt after the other until the item does not come back."""
    operation = get_operation(item.batch.operation)
    for _ in range(most):
        outcome = operation.run(attempt_on(item, provider))
        if not isinstance(outcome, Snooze):
            return outcome
    raise AssertionError(f"still not done after {most} attempts")
