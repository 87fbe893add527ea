"""The dispatcher and the workers of economy mode, as far as a test lets them go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from batches.dispatching.settle import settle, sweep_cancelled
from batches.economy import bell, deadline, gathering, stepping
from batches.models import Batch, Item, ProviderBatch
from batches.running.watch import heartbeat
from batches.states import Step
from tests.economy.scripted import ALIAS
from tests.engine.ledger import new_batch

PAST = Now() - timedelta(seconds=1)


def economy_batch(count: int = 3, **fields: Any) -> Batch:
    """A running economy batch of so many items, whose questions are their keys."""
    return new_batch(count, **{"operation": "asking", "provider": ALIAS, "mode": "economy", **fields})


def tick() -> list[int]:
    """One round of the dispatcher, with everything due that waits; returns whom it rang for."""
    Item.objects.filter(status="pending").update(due_at=PAST)
    ProviderBatch.objects.exclude(step=Step.DONE).update(due_at=PAST)
    heartbeat("worker-of-economy", "worker", {}, 0)
    deadline.turn_fast()
    gathering.gather()
    bell.hasten()
    rung = bell.ring()
    sweep_cancelled()
    settle()
    return rung


def step() -> None:
    """One round, and every step that was rung for."""
    for row_id in tick():
        stepping.advance(row_id)


def drive(batch: Batch, *, most: int = 40) -> Batch:
    """Rounds until the batch is settled."""
    for _ in range(most):
        step()
        batch.refresh_from_db()
        if batch.settled_at is not None:
            return batch
    raise AssertionError(f"not settled after {most} rounds: {list(ProviderBatch.objects.values())}")


def only_row(batch: Batch) -> ProviderBatch:
    return ProviderBatch.objects.get(batch=batch)


def results(batch: Batch) -> list[str | None]:
    found = Item.objects.filter(batch=batch).order_by("position").values_list("result", flat=True)
    return [None if result is None else result["text"] for result in found]
