"""Where one batch stands, what came of it, and its end before its time."""

from __future__ import annotations

from django.test import Client

from batches.models import Batch, Item
from tests.api.conftest import Submit, end_items


def test_status(client: Client, submit: Submit) -> None:
    batch = submit(count=100)
    end_items(batch, "succeeded", list(range(43)))
    end_items(batch, "failed", [43, 44])
    body = client.get(f"/api/batch/{batch.public_id}").json()
    times = {name: body["batch"].pop(name) for name in ("created_at", "started_at")}
    assert all(time.endswith("Z") for time in times.values())
    assert body == {
        "success": True,
        "batch": {
            "id": batch.public_id,
            "operation": "rate_photos",
            "status": "running",
            "progress": 45,
            "total_items": 100,
            "processed_items": 45,
            "failed_items": 2,
        },
    }


def test_results(client: Client, documented: Batch) -> None:
    body = client.get(f"/api/batch/{documented.public_id}/results?limit=1").json()
    batch = body["batch"]
    assert (batch["status"], batch["progress"]) == ("completed", 100)
    (result,) = batch["results"]
    assert result.pop("createdAt").endswith("Z")
    assert result == {
        "nodeId": "img0",
        "success": True,
        "result": {"description": "Invoice processing"},
        "retries": 0,
        "durationMs": 1180,
    }
    assert batch["summary"] == {
        "total": 100,
        "successful": 98,
        "failed": 2,
        "cancelled": 0,
        "qualityScore": 0.92,
        "performanceMetrics": {"averageDuration": 1180, "totalDuration": 118000, "requestsPerMinute": 50.85},
    }
    assert (body["count"], body["limit"], body["offset"]) == (100, 1, 0)


def test_results_of_what_failed_and_of_retries(client: Client, documented: Batch) -> None:
    Item.objects.filter(batch=documented, position=98).update(attempts=4, quality=0.5)
    body = client.get(f"/api/batch/{documented.public_id}/results?offset=98").json()
    failed = body["batch"]["results"][0]
    assert failed.pop("createdAt")
    assert failed == {
        "nodeId": "img98",
        "success": False,
        "error": "No answer.",
        "errorCategory": "timeout",
        "errorCode": "timeout",
        "retries": 3,
        "qualityScore": 0.5,
    }


def test_results_while_running_are_of_what_is_over(client: Client, submit: Submit) -> None:
    batch = submit(count=10)
    end_items(batch, "succeeded", [1, 5], result={})
    end_items(batch, "unknown", [7], error_code="x", error_message="Nobody knows.")
    end_items(batch, "cancelled", [8])
    body = client.get(f"/api/batch/{batch.public_id}/results").json()
    assert [result["nodeId"] for result in body["batch"]["results"]] == ["img1", "img5", "img7"]
    assert [result["success"] for result in body["batch"]["results"]] == [True, True, False]
    assert body["count"] == 3


def test_cancelling(client: Client, submit: Submit) -> None:
    response = client.post(f"/api/batch/{submit().public_id}/cancel")
    assert response.status_code == 200
    assert response.json() == {"success": True, "message": "Batch cancelled successfully"}
