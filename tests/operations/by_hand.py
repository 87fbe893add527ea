"""Batches whose items are loaded, run and finished in the test itself: the engine's part is tested elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.db.models.functions import Now

from batches import loading
from batches.models import Batch
from batches.operations import get_operation
from batches.operations.records import record_chunks
from batches.outcomes import Succeeded
from batches.tables import isolation
from tests.operations.conftest import Answering
from tests.operations.submitted import attempt_on, submitted
from tests.tables.here import run_here


class KeptConnection:
    """The test's own transaction would end with its connection."""

    def close(self) -> None:
        """Stay open."""


def do_all_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in this process and in the test's transaction: tests/tables/test_isolation.py starts the others, and
    tests/operations/records/test_data_end_to_end.py the engine."""
    monkeypatch.setattr(isolation, "run", run_here)
    monkeypatch.setattr(record_chunks, "connection", KeptConnection())


def load(owner_id: int, operation: str, payload: Mapping[str, Any]) -> Batch:
    """Store a batch and all of its items."""
    batch = submitted(owner_id, operation, payload)
    while batch.loaded_at is None:
        loading.load_chunk()
        batch.refresh_from_db()
    return batch


def run_all(batch: Batch) -> Batch:
    """Run the items that are not done yet; every one must succeed."""
    for item in batch.items.exclude(status="succeeded").order_by("position"):
        outcome = get_operation(batch.operation).run(attempt_on(item, Answering()))
        assert isinstance(outcome, Succeeded), outcome
        changes = {"status": "succeeded", "finished_at": Now(), "result": dict(outcome.result)}
        batch.items.filter(pk=item.pk).update(**changes)
    return batch


def results(batch: Batch) -> list[dict[str, Any]]:
    """The results of its items, in order."""
    return [item.result or {} for item in batch.items.order_by("position")]


def finished(owner_id: int, operation: str, payload: Mapping[str, Any]) -> tuple[Batch, Mapping[str, Any]]:
    """The batch and its outcome."""
    batch = run_all(load(owner_id, operation, payload))
    return batch, get_operation(operation).finish(batch)
