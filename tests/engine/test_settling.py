"""Starting, sweeping, settling, retrying: the batch's own changes of status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from batches import services
from batches.dispatching import settle
from batches.models import Batch, Item
from batches.problems import Conflict
from batches.running.recorder import write
from tests.engine.ledger import accepted, assert_counters, changes, new_batch, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def finished(succeeded: int = 0, failed: int = 0, unknown: int = 0, **fields: Any) -> Batch:
    """A batch whose items all ended so."""
    batch = new_batch(succeeded + failed + unknown)
    for status, number in {"succeeded": succeeded, "failed": failed, "unknown": unknown}.items():
        if number:
            write(changes(accepted(batch, number), status))
    Batch.objects.filter(pk=batch.pk).update(**fields)
    return batch


@pytest.mark.parametrize(
    ("items", "fields", "status"),
    [
        ({"succeeded": 2}, {}, "completed"),
        ({"succeeded": 1, "failed": 2, "unknown": 1}, {}, "completed"),
        ({"failed": 2}, {}, "failed"),
        ({"unknown": 1}, {}, "failed"),
        ({}, {}, "completed"),
        ({"succeeded": 1}, {"status": "paused"}, "completed"),
        ({"failed": 1}, {"status": "cancelled", "completed_at": timezone.now()}, "cancelled"),
    ],
)
def test_a_batch_is_closed_by_what_became_of_its_items(
    items: dict[str, int], fields: dict[str, Any], status: str
) -> None:
    batch = finished(**items, **fields)
    (facts,) = settle.settle()
    assert facts.status == status
    batch.refresh_from_db()
    assert batch.status == status
    assert None not in (batch.settled_at, batch.completed_at)
    assert settle.settle() == []


@pytest.mark.parametrize("fields", [{"loaded_at": None}, {"status": "pending"}])
def test_a_batch_that_is_not_loaded_or_not_started_stays_open(fields: dict[str, Any]) -> None:
    finished(succeeded=1, **fields)
    assert settle.settle() == []


def test_a_batch_with_an_item_under_way_stays_open() -> None:
    batch = new_batch(2)
    write(changes(accepted(batch, 1)))
    accepted(batch, 1)
    assert settle.settle() == []


def test_a_cancelled_batch_keeps_the_time_of_its_cancelling() -> None:
    batch = new_batch(0)
    services.cancel(batch, actor_id=None)
    at = batch.completed_at
    settle.settle()
    batch.refresh_from_db()
    assert batch.completed_at == at


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"scheduled_at": timezone.now() - timedelta(seconds=1)}, True),
        ({"scheduled_at": timezone.now() + timedelta(hours=1)}, False),
        ({"scheduled_at": None}, True),
        ({"scheduled_at": timezone.now() - timedelta(hours=1), "auto_start": False}, False),
    ],
)
def test_a_scheduled_batch_starts_when_its_time_has_come(fields: dict[str, Any], starts: bool) -> None:
    batch = new_batch(1, status="pending", started_at=None, **fields)
    assert len(settle.start_scheduled()) == starts
    batch.refresh_from_db()
    assert (batch.status == "running", batch.started_at is not None) == (starts, starts)


def test_a_cancelled_batch_is_swept_in_chunks_and_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "SWEEP_CHUNK", 4)
    batch = new_batch(10)
    under_way = accepted(batch, 1)
    services.cancel(batch, actor_id=None)
    assert [facts.cancelled for _ in range(4) for facts in settle.sweep_cancelled()] == [4, 8, 9]
    assert settle.settle() == []
    write(changes(under_way))
    assert_counters(batch, cancelled=9, succeeded=1)
    assert [facts.status for facts in settle.settle()] == ["cancelled"]


def test_a_retry_of_a_cancelled_batch_is_swept_as_well() -> None:
    batch = new_batch(1)
    under_way = accepted(batch)
    services.cancel(batch, actor_id=None)
    settle.sweep_cancelled()
    write(changes(under_way, "pending", delay_seconds=3600.0))
    settle.sweep_cancelled()
    assert_counters(batch, cancelled=1)
    assert len(settle.settle()) == 1


def test_a_paused_batch_is_not_swept() -> None:
    batch = new_batch(2)
    services.pause(batch, actor_id=None)
    assert settle.sweep_cancelled() == []
    assert statuses(batch) == ["pending", "pending"]


def test_retrying_moves_failed_items_with_their_counters_and_reopens() -> None:
    batch = finished(succeeded=1, failed=3)
    settle.settle()
    assert services.retry_failed(batch, actor_id=None) == 3
    assert_counters(batch, succeeded=1)
    assert (batch.status, batch.completed_at, batch.settled_at) == ("running", None, None)
    again = Item.objects.filter(status="pending")
    assert set(again.values_list("attempts", "failures", "deaths", "error_code", "first_attempt_at")) == {
        (0, 0, 0, "", None)
    }
    write(changes(accepted(batch)))
    assert [facts.status for facts in settle.settle()] == ["completed"]
    assert_counters(batch, succeeded=4)


def test_nothing_is_retried_in_a_cancelled_batch() -> None:
    batch = finished(failed=2)
    services.cancel(batch, actor_id=None)
    with pytest.raises(Conflict):
        services.retry_failed(batch, actor_id=None)
    assert_counters(batch, failed=2)
