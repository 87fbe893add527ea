"""Runs a batch of a record operation without the engine: built, stored, loaded in pages, each item run once here.

What the recorder would write is written plainly; the engine itself has tests of its own, and test_document_004.py runs
these operations in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from batches.loading import load_chunk
from batches.models import Batch, Item
from batches.operations import Attempt, get_operation
from batches.outcomes import Outcome, Rejected, Succeeded
from batches.problems import InvalidInput
from batches.submission import submit_batch
from providers.base import NOBODY, Provider
from records.models import Record


def record(owner: User, **fields: Any) -> Record:
    """A record of the owner."""
    return Record.objects.create(owner=owner, **{"kind": "node", "content": "A text.", **fields})


def problems_of(operation: str, body: Mapping[str, Any], owner_id: int = 1) -> dict[str, str]:
    """The codes of what is wrong with a body, by path."""
    try:
        get_operation(operation).build(owner_id, body)
    except InvalidInput as refused:
        return {problem.path: problem.code for problem in refused.problems}
    return {}


def submitted(owner: User, operation: str, body: Mapping[str, Any]) -> Batch:
    """A stored batch with all its items."""
    batch = submit_batch(owner_id=owner.pk, new=get_operation(operation).build(owner.pk, body))
    while Batch.objects.get(pk=batch.pk).loaded_at is None:
        load_chunk()
    batch.refresh_from_db()
    return batch


def attempt(item: Item, provider: Provider = NOBODY, timeout_seconds: float = 10.0) -> Attempt:
    """A try of the item; it is running then."""
    Item.objects.filter(pk=item.pk, status="pending").update(status="running", lease_id=1)
    return Attempt(
        item_id=item.pk,
        owner_id=item.batch.owner_id,
        key=item.key,
        input=item.input,
        parameters=item.batch.parameters,
        provider=provider,
        reference="attempt-1",
        timeout_seconds=timeout_seconds,
    )


def run_items(batch: Batch, provider: Provider = NOBODY) -> list[Outcome]:
    """Run every item and keep its outcome."""
    outcomes = []
    with connection_kept():
        for item in batch.items.select_related("batch").order_by("position"):
            outcome = get_operation(batch.operation).run(attempt(item, provider))
            keep(item, outcome)
            outcomes.append(outcome)
    return outcomes


def keep(item: Item, outcome: Outcome) -> None:
    """As the recorder would."""
    assert isinstance(outcome, Succeeded | Rejected), outcome
    status = "succeeded" if isinstance(outcome, Succeeded) else "failed"
    result = dict(outcome.result) if isinstance(outcome, Succeeded) else None
    Item.objects.filter(pk=item.pk).update(status=status, result=result, lease_id=None, finished_at=timezone.now())


def run_batch(owner: User, operation: str, body: Mapping[str, Any]) -> tuple[Batch, dict[str, Any]]:
    """The batch, and what finishing made of all its items."""
    batch = submitted(owner, operation, body)
    run_items(batch)
    return batch, dict(get_operation(operation).finish(batch))


@contextmanager
def connection_kept() -> Iterator[None]:
    """An operation gives its connection back; within a test's transaction that would be the end of the test."""
    if not connection.in_atomic_block:
        yield
        return
    close, connection.close = connection.close, lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.close = close  # type: ignore[method-assign]
