"""What every batch answers: status, items, errors, verbs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import Batch, Item, ItemError
from tests.api.conftest import Submit, client_of, end_items, problems_of, settle


def add_error(item: Item, code: str = "http_500", category: str = "server", count: int = 1) -> None:
    ItemError.objects.create(
        item=item, batch_id=item.batch_id, code=code, category=category, message=f"It was {code}.", count=count
    )


def troubled(submit: Submit, operation: str, **more: Any) -> Batch:
    """One item failed for good, one is waiting for its retry, one succeeded after an error."""
    batch = submit(operation, count=3, **more)
    end_items(batch, "failed", [0], error_code="http_400", error_category="invalid_request", error_message="No.")
    batch.items.filter(position=1).update(error_code="http_500", error_category="server", error_message="Oh.")
    end_items(batch, "succeeded", [2])
    for item, code, category in zip(
        batch.items.order_by("position"),
        ["http_400", "http_500", "http_429"],
        ["invalid_request", "server", "rate_limit"],
        strict=True,
    ):
        add_error(item, code, category, count=2)
    return batch


def seen(client: Client, batch: Batch) -> set[str]:
    return {error["code"] for error in client.get(f"/api/batch/{batch.public_id}/errors").json()["errors"]}


def test_a_photo_batch_answers_document_004(client: Client, submit: Submit) -> None:
    batch = submit(count=3)
    end_items(batch, "succeeded", [0])
    body = client.get(f"/api/batch/{batch.public_id}").json()
    assert set(body) == {"success", "batch"}
    assert body["batch"].pop("created_at").endswith("Z")
    assert body["batch"].pop("started_at").endswith("Z")
    assert body["batch"] == {
        "id": batch.public_id,
        "operation": "rate_photos",
        "status": "running",
        "progress": 33,
        "total_items": 3,
        "processed_items": 1,
        "failed_items": 0,
    }


def test_items_come_in_order_and_in_pages(client: Client, submit: Submit) -> None:
    batch = submit(count=60)
    body = client.get(f"/api/batch/{batch.public_id}/items").json()
    assert (body["count"], body["limit"], body["offset"], len(body["items"])) == (60, 50, 0, 50)
    body = client.get(f"/api/batch/{batch.public_id}/items?limit=5&offset=57").json()
    assert [item["id"] for item in body["items"]] == ["img57", "img58", "img59"]
    assert body["items"][0].pop("dueAt").endswith("Z")
    assert body["items"][0] == {
        "id": "img57",
        "position": 57,
        "status": "pending",
        "attempts": 0,
        "result": None,
        "error": None,
        "durationMs": None,
        "finishedAt": None,
        "filename": "57.jpg",
        "provider": None,
        "tokens": None,
        "segments": None,
        "cost": None,
    }


def test_items_by_status(client: Client, submit: Submit) -> None:
    batch = submit(count=3)
    end_items(batch, "succeeded", [1])
    body = client.get(f"/api/batch/{batch.public_id}/items?status=succeeded").json()
    assert (body["count"], [item["position"] for item in body["items"]]) == (1, [1])
    assert problems_of(client.get(f"/api/batch/{batch.public_id}/items?status=x")) == {"status": "invalid_choice"}


@pytest.mark.parametrize("path", ["items", "errors"])
@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "1" * 30, "%00", "１"])
def test_bad_limits(client: Client, submit: Submit, path: str, name: str, value: str) -> None:
    response = client.get(f"/api/batch/{submit().public_id}/{path}?{name}={value}")
    assert problems_of(response) == {name: "out_of_range"}


def test_limits_have_bounds(client: Client, submit: Submit) -> None:
    path = f"/api/batch/{submit().public_id}/items"
    assert problems_of(client.get(f"{path}?limit=0")) == {"limit": "out_of_range"}
    assert problems_of(client.get(f"{path}?limit=101")) == {"limit": "out_of_range"}
    assert client.get(f"{path}?offset=1000000000").json()["items"] == []


def test_owners_of_photos_see_the_errors_of_what_failed_for_good(client: Client, submit: Submit) -> None:
    assert seen(client, troubled(submit, "rate_photos")) == {"http_400"}


def test_staff_see_every_error(submit: Submit, staff: User) -> None:
    batch = troubled(submit, "rate_photos", owner=staff)
    assert seen(client_of(staff), batch) == {"http_400", "http_500", "http_429"}


def test_owners_of_messages_see_every_error(client: Client, submit: Submit) -> None:
    assert seen(client, troubled(submit, "sms")) == {"http_400", "http_500", "http_429"}


def test_the_rule_holds_for_items_too(client: Client, submit: Submit) -> None:
    batch = troubled(submit, "rate_photos")
    items = client.get(f"/api/batch/{batch.public_id}/items").json()["items"]
    assert items[0]["error"] == {"category": "invalid_request", "code": "http_400", "message": "No."}
    assert items[1]["error"] is None
    campaign = troubled(submit, "sms")
    items = client.get(f"/api/batch/{campaign.public_id}/items").json()["items"]
    assert items[1]["error"]["code"] == "http_500"


def test_errors_are_counted_by_category(client: Client, submit: Submit) -> None:
    batch = troubled(submit, "sms")
    add_error(batch.items.get(position=0), "http_503", "server", count=5)
    body = client.get(f"/api/batch/{batch.public_id}/errors?limit=1").json()
    assert body["byCategory"] == [
        {"category": "server", "count": 7},
        {"category": "invalid_request", "count": 2},
        {"category": "rate_limit", "count": 2},
    ]
    assert (body["count"], body["limit"], body["offset"]) == (4, 1, 0)
    [error] = body["errors"]
    assert error.pop("firstAt").endswith("Z")
    assert error.pop("lastAt").endswith("Z")
    assert error == {
        "itemId": "•••••••••000",
        "position": 0,
        "itemStatus": "failed",
        "attempts": 0,
        "provider": "",
        "category": "server",
        "code": "http_503",
        "message": "It was http_503.",
        "count": 5,
    }
    only = client.get(f"/api/batch/{batch.public_id}/errors?category=rate_limit").json()
    assert [error["code"] for error in only["errors"]] == ["http_429"]
    assert client.get(f"/api/batch/{batch.public_id}/errors?category=x").status_code == 400


def test_pause_resume_cancel(client: Client, submit: Submit) -> None:
    path = f"/api/batch/{submit('sms').public_id}"
    assert client.post(f"{path}/pause").json()["status"] == "paused"
    assert client.post(f"{path}/pause").status_code == 409
    assert client.post(f"{path}/resume").json()["status"] == "processing"
    cancelled = client.post(f"{path}/cancel")
    assert cancelled.json() == {"success": True, "message": "Batch cancelled successfully"}
    assert client.post(f"{path}/cancel").status_code == 409
    assert client.post(f"{path}/resume").status_code == 409


def test_retrying(client: Client, submit: Submit) -> None:
    batch = troubled(submit, "sms")
    settle(batch)
    response = client.post(f"/api/batch/{batch.public_id}/retry")
    assert response.json() == {"success": True, "retried": 1}
    assert client.get(f"/api/batch/{batch.public_id}").json()["status"] == "processing"
    client.post(f"/api/batch/{batch.public_id}/cancel")
    assert client.post(f"/api/batch/{batch.public_id}/retry").status_code == 409


@pytest.mark.parametrize("path", ["pause", "resume", "start", "cancel", "retry"])
def test_verbs_are_posted(client: Client, submit: Submit, path: str) -> None:
    response = client.get(f"/api/batch/{submit().public_id}/{path}")
    assert response.status_code == 405
    assert response.json()["success"] is False
