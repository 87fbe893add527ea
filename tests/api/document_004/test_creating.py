"""Creating a batch by the name of its operation."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import Batch
from tests.api.conftest import problems_of
from tests.api.document_004.conftest import JSON


def create(client: Client, **body: Any) -> Any:
    return client.post("/api/batch/create", body, content_type=JSON)


def test_creating_by_the_name_of_an_operation(client: Client, alice: User) -> None:
    response = create(client, operation="count", number=20, name="Monthly", description="All of them")
    assert response.status_code == 202
    body = response.json()
    assert body["success"] is True
    batch = Batch.objects.get(owner=alice)
    assert body["batch"].pop("created_at").endswith("Z")
    assert body["batch"] == {
        "id": batch.public_id,
        "operation": "count",
        "status": "pending",
        "progress": 0,
        "total_items": 20,
        "processed_items": 0,
        "failed_items": 0,
        "name": "Monthly",
        "description": "All of them",
    }


def test_the_options_of_the_document(client: Client) -> None:
    options = {
        "batchSize": 100,
        "retryAttempts": 5,
        "timeout": 60000,
        "priority": "high",
        "notifyOnComplete": True,
    }
    assert create(client, operation="count", number=1, options=options).status_code == 202
    batch = Batch.objects.get()
    assert (batch.concurrency, batch.max_retries, batch.timeout_ms) == (100, 5, 60000)
    assert (batch.priority, batch.notify_on_complete) == ("high", True)


def test_what_the_environment_sets_holds_where_a_request_says_nothing(client: Client, settings: Any) -> None:
    defaults = (settings.BATCH_DEFAULT_SIZE, settings.BATCH_MAX_RETRIES, settings.BATCH_TIMEOUT_MS)
    assert (*defaults, settings.BATCH_RETENTION_DAYS) == (50, 3, 30000, 30)  # the document's
    settings.BATCH_DEFAULT_SIZE, settings.BATCH_MAX_RETRIES, settings.BATCH_TIMEOUT_MS = 7, 2, 1500
    assert create(client, operation="annotate").status_code == 202
    batch = Batch.objects.get()
    assert (batch.concurrency, batch.max_retries, batch.timeout_ms) == (7, 2, 1500)


def test_photos_and_messages_are_operations_as_well(client: Client) -> None:
    photos = {"shootId": "shoot", "images": [{"id": "1", "url": "https://example.com/1.jpg"}]}
    assert create(client, operation="rate_photos", **photos).status_code == 202
    sms = {"text": "Hello", "recipients": [{"phoneNumber": "+14155552671"}]}
    assert create(client, operation="sms", **sms).status_code == 202
    assert set(Batch.objects.values_list("operation", "status")) == {("rate_photos", "pending"), ("sms", "pending")}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"operation": "required"}),
        ({"operation": 7}, {"operation": "invalid_type"}),
        ({"operation": "fly"}, {"operation": "unknown_operation"}),
        ({"operation": "count", "number": 1, "dryRun": "yes"}, {"dryRun": "invalid_type"}),
        ({"operation": "count", "number": 1, "options": {"dryRun": 1}}, {"options.dryRun": "invalid_type"}),
        ({"operation": "count", "number": 1, "nmae": "x"}, {"nmae": "unknown_field"}),
        ({"operation": "count", "number": 1, "options": {"batchsize": 1}}, {"options.batchsize": "unknown_field"}),
        ({"operation": "count", "number": 1, "options": 5}, {"options": "invalid_type"}),
        ({"operation": "count", "number": 1, "options": {"batchSize": 0}}, {"options.batchSize": "out_of_range"}),
        ({"operation": "count", "number": 1, "options": {"timeout": "1"}}, {"options.timeout": "invalid_type"}),
        (
            {"operation": "count", "number": 1, "options": {"batchSize": 5, "concurrency": 6}},
            {"options.batchSize": "contradiction"},
        ),
        (
            {"operation": "rate_photos", "shootId": "s", "images": [{"id": "1", "url": "https://x.test/1", "ulr": 1}]},
            {"images.0.ulr": "unknown_field"},
        ),
        (
            {"operation": "sms", "text": "x", "recipients": [{"phoneNumber": "+14155552671", "name": "x"}]},
            {"recipients.0.name": "unknown_field"},
        ),
    ],
)
def test_bodies_that_are_refused(client: Client, body: dict[str, Any], problems: dict[str, str]) -> None:
    assert problems_of(create(client, **body)) == problems
    assert not Batch.objects.exists()


def test_a_misspelt_field_is_told_what_it_may_mean(client: Client) -> None:
    (problem,) = create(client, operation="count", numbre=1, number=1).json()["details"]["errors"]
    assert problem["message"] == "Is not a field of this request. Did you mean number?"


@pytest.mark.parametrize("where", [{"dryRun": True}, {"options": {"dryRun": True}}])
def test_a_dry_run_stores_nothing(client: Client, where: dict[str, Any]) -> None:
    response = create(client, operation="count", number=3, **where)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "dryRun": True,
        "preview": {"total": 3, "items": [{"id": f"number-{i}", "number": i} for i in range(3)]},
    }
    assert not Batch.objects.exists()


def test_which_operations_there_are(client: Client) -> None:
    shown = {one["name"]: one for one in client.get("/api/operations").json()["operations"]}
    assert shown["count"] == {
        "name": "count",
        "channel": "data",
        "description": "Counts.",
        "fields": {"number": "How far.", "finish": "What finishing does."},
        "makesFiles": True,
        "modes": ["fast"],
    }
    assert {"rate_photos", "sms"} <= shown.keys()
    for name in ("rate_photos", "annotate", "process_files", "analyze_conversations"):
        assert shown[name]["modes"] == ["fast", "economy"]
        assert {"mode", "economyRetries", "deadline"} <= shown[name]["fields"].keys()
