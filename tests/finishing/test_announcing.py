"""Owners who asked are told once how a batch ended."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from batches import services
from batches.dispatching.settle import settle, sweep_cancelled
from batches.models import Notification
from tests.finishing.conftest import end_all, finish_due, load_all, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("wanted", "number"), [(True, 1), (False, 0)])
def test_the_owner_is_told_once_when_they_asked(alice: User, wanted: bool, number: int) -> None:
    batch = submit(alice, 3, options={"notifyOnComplete": wanted}, name="Counting")
    load_all()
    end_all(batch)
    finish_due()
    finish_due()
    settle()
    assert Notification.objects.count() == number
    if wanted:
        told = Notification.objects.get()
        assert (told.owner_id, told.kind, told.read_at) == (alice.pk, "batch_completed", None)
        assert told.details == {
            "batchId": batch.public_id,
            "name": "Counting",
            "operation": "count",
            "status": "completed",
            "total": 3,
            "succeeded": 3,
            "failed": 0,
            "cancelled": 0,
        }


def test_also_of_batches_that_end_otherwise(alice: User) -> None:
    cancelled = submit(alice, 3, notifyOnComplete=True)
    load_all()
    services.cancel(cancelled, actor_id=None)
    sweep_cancelled()
    settle()
    settle()
    assert [told.details["status"] for told in Notification.objects.all()] == ["cancelled"]
