"""Items in doubt, settled by the receipts that name them and by no others."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.db.models.functions import Now
from django.test import Client

from batches.models import Batch, BatchHistogram
from batches.states import ItemStatus
from batches.text_messages import receipts
from providers.sandbox.signing import plivo_post
from tests.api.callbacks.conftest import BASE, SECRET, Tell, post
from tests.api.conftest import Submit, end_items


def in_doubt(batch: Batch, position: int = 0) -> uuid.UUID:
    """Make an item unknown as a rescue does."""
    attempt = uuid.uuid4()
    end_items(
        batch, "unknown", [position], attempt_id=attempt, error_category="timeout", error_code="timeout", attempts=1
    )
    counted = {(batch.pk, "ended_badly", 1): 1, (batch.pk, "failed:timeout", 1): 1}
    BatchHistogram.objects.bulk_create(
        BatchHistogram(batch_id=pk, measure=measure, bucket=bucket, count=count)
        for (pk, measure, bucket), count in counted.items()
    )
    return attempt


@pytest.mark.parametrize(("status", "delivery"), [("queued", ""), ("sent", "sent"), ("undelivered", "undelivered")])
def test_a_receipt_settles_the_item_in_doubt_that_it_names(
    client: Client, submit: Submit, tell: Tell, status: str, delivery: str
) -> None:
    batch = submit("sms", count=2)
    attempt = in_doubt(batch)
    assert tell("SM7", status, attempt=attempt).status_code == 204
    item = batch.items.get(position=0)
    batch.refresh_from_db()
    assert (item.status, item.provider_reference, item.delivery) == ("succeeded", "SM7", delivery)
    assert item.result == {"status": status, "segments": 1}
    assert (batch.succeeded, batch.unknown, batch.failed) == (1, 0, 0)
    assert batch.spent == item.cost == Decimal("0.0083")
    figures = client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert (figures["segments"], figures["failures"]) == (1, [])
    assert tell("SM7", status, attempt=attempt).status_code == 204
    batch.refresh_from_db()
    assert (batch.succeeded, batch.unknown) == (1, 0)


def test_a_receipt_that_came_while_the_call_was_running_settles_the_doubt_later(submit: Submit, tell: Tell) -> None:
    batch = submit("sms", count=1)
    attempt = uuid.uuid4()
    batch.items.update(status="running", lease_id=1, attempt_id=attempt, started_at=Now())
    assert tell("SM1", "delivered", attempt=attempt).status_code == 204
    assert batch.items.get().status == ItemStatus.RUNNING
    end_items(batch, "unknown", [0], lease_id=None)
    (facts,) = receipts.match_open()
    assert (facts.pk, facts.succeeded, facts.unknown) == (batch.pk, 1, 0)
    item = batch.items.get()
    assert (item.status, item.delivery) == (ItemStatus.SUCCEEDED, "delivered")


def test_a_doubt_of_another_account_or_attempt_stays(submit: Submit, tell: Tell, anonymous: Client) -> None:
    batch = submit("sms", count=1)
    attempt = in_doubt(batch)
    assert tell("SM1", "delivered", attempt=uuid.uuid4()).status_code == 204
    fields = {"MessageUUID": "SM2", "Status": "delivered"}
    told = plivo_post(SECRET, f"{BASE}/api/receipts/plivo?reference={attempt}", fields)
    assert post(anonymous, told).status_code == 204
    assert batch.items.get().status == ItemStatus.UNKNOWN
