"""Document 004 by its own examples: each request as it stands gets the documented answer, ids and times aside."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batches import retention, services, usage
from batches.api.shapes import instant
from batches.figures import Figures
from batches.histogram import duration_bucket, percentile
from batches.models import AuditEntry, Batch, BatchHistogram, Item, ItemError, Usage
from batches.operations import get_operation
from batches.problems import Conflict
from providers.prices import PARTS
from tests import scripted_operations
from tests.api.conftest import Submit, client_of, end_items, problems_of, settle

JSON = "application/json"


@pytest.fixture(autouse=True)
def scripted(settings: Any) -> Any:
    settings.OPERATIONS = {**settings.OPERATIONS, **scripted_operations.OPERATIONS}
    yield
    get_operation.cache_clear()


def count(batch: Batch, measure: str, bucket: int, number: int) -> None:
    BatchHistogram.objects.create(batch=batch, measure=measure, bucket=bucket, count=number)


@pytest.fixture
def documented(submit: Submit) -> Batch:
    """A hundred items: 98 succeeded, one timed out, one answered nonsense; document 004's numbers."""
    batch = submit(count=100)
    end_items(batch, "succeeded", list(range(98)), result={"description": "Invoice processing"}, duration_ms=1180)
    end_items(batch, "failed", [98], error_category="timeout", error_code="timeout", error_message="No answer.")
    end_items(batch, "failed", [99], error_category="content", error_code="invalid_answer", error_message="Nonsense.")
    settle(batch)
    Batch.objects.filter(pk=batch.pk).update(started_at=F("completed_at") - timedelta(seconds=118))
    batch.refresh_from_db()
    day = int(timezone.now().timestamp()) // 86_400
    count(batch, "failed:timeout", day, 1)
    count(batch, "failed:content", day, 1)
    count(batch, "quality", 17, 85)
    count(batch, "quality", 13, 13)
    count(batch, "quality_sum", 0, 920_000 * 98 // 100)
    for milliseconds, number in ((1150, 94), (1850, 4), (2200, 2)):
        count(batch, "duration", duration_bucket(milliseconds), number)
    count(batch, "duration_sum", 0, 118_000)
    return batch


# --- Create


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


# --- One batch


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


def test_visualization(client: Client, documented: Batch) -> None:
    body = client.get(f"/api/batch/{documented.public_id}/viz").json()
    assert body["success"] is True
    shown = body["visualization"]
    assert shown["batchId"] == documented.public_id
    assert shown["overview"] == {
        "total": 100,
        "successful": 98,
        "failed": 2,
        "pending": 0,
        "cancelled": 0,
        "successRate": 0.98,
        "averageDuration": 1180,
    }
    assert shown["errorDistribution"] == [
        {"error": "Invalid response", "category": "content", "count": 1, "percentage": 50},
        {"error": "Timeout", "category": "timeout", "count": 1, "percentage": 50},
    ]
    assert shown["qualityDistribution"] == [
        {"range": "0.8-1.0", "count": 85, "percentage": 85},
        {"range": "0.6-0.8", "count": 13, "percentage": 13},
    ]
    metrics = shown["performanceMetrics"]
    assert metrics["averageDuration"] == 1180
    assert metrics["p50Duration"] == pytest.approx(1150, rel=0.02)
    assert metrics["p95Duration"] == pytest.approx(1850, rel=0.02)
    assert metrics["p99Duration"] == pytest.approx(2200, rel=0.02)


def test_a_batch_of_which_nothing_is_known_yet(client: Client, submit: Submit) -> None:
    batch = submit(auto_start=False)
    shown = client.get(f"/api/batch/{batch.public_id}/viz").json()["visualization"]
    assert shown["overview"]["successRate"] == 0.0
    assert shown["performanceMetrics"] == dict.fromkeys(
        ("averageDuration", "p50Duration", "p95Duration", "p99Duration")
    )
    assert (shown["errorDistribution"], shown["qualityDistribution"], shown["timeline"]) == ([], [], [])
    summary = client.get(f"/api/batch/{batch.public_id}/results").json()["batch"]["summary"]
    assert summary["qualityScore"] is None
    assert summary["performanceMetrics"]["requestsPerMinute"] == 0.0


def test_the_timeline_is_of_progress(client: Client, submit: Submit) -> None:
    batch = submit(count=10)
    end_items(batch, "succeeded", list(range(10)))
    slot = 176_000_000
    for place, number in enumerate((3, 0, 4, 3)):
        if number:
            count(batch, "finished", slot + place, number)
    timeline = client.get(f"/api/batch/{batch.public_id}/viz").json()["visualization"]["timeline"]
    assert [(point["processed"], point["progress"]) for point in timeline] == [(3, 30), (7, 70), (10, 100)]
    assert timeline[0]["at"] == "2025-10-09T08:53:30.000Z"
    assert timeline == sorted(timeline, key=lambda point: point["at"])


def test_the_timeline_ends_with_the_batch_or_now(client: Client, submit: Submit) -> None:
    """Not with the ten seconds that are being counted."""
    over, running = submit(count=10), submit(count=10)
    for batch in (over, running):
        count(batch, "finished", int(timezone.now().timestamp()) // 10 + 3, 4)
    settle(over)
    over.refresh_from_db()
    shown = [
        client.get(f"/api/batch/{batch.public_id}/viz").json()["visualization"]["timeline"] for batch in (over, running)
    ]
    assert shown[0][-1]["at"] == instant(over.settled_at)
    assert shown[1][-1]["at"] <= str(instant(timezone.now()))


def test_a_long_timeline_has_few_points_and_ends_at_the_end(submit: Submit) -> None:
    batch = submit(count=10)
    BatchHistogram.objects.bulk_create(
        BatchHistogram(batch=batch, measure="finished", bucket=176_000_000 + slot, count=2) for slot in range(5_000)
    )
    count(batch, "reopened", 176_000_000 + 2_500, 7)
    progress = Figures.of(batch).progress(100)
    assert 50 <= len(progress) <= 100
    assert progress[-1][1] == 10_000 - 7


@given(st.lists(st.integers(1, 600_000), min_size=1, max_size=400), st.sampled_from([0.5, 0.95, 0.99]))
@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_percentiles_are_within_two_per_cent_of_the_exact_ones(durations: list[int], share: float) -> None:
    counts: dict[int, int] = {}
    for duration in durations:
        counts[duration_bucket(duration)] = counts.get(duration_bucket(duration), 0) + 1
    exact = sorted(durations)[max(1, -(-int(share * 1000) * len(durations) // 1000)) - 1]
    assert percentile(counts, share) == pytest.approx(exact, rel=0.02)


def test_of_many_calls_as_well() -> None:
    chance = random.Random(7)
    durations = [max(1, round(chance.lognormvariate(7, 0.6))) for _ in range(100_000)]
    counts: dict[int, int] = {}
    for duration in durations:
        counts[duration_bucket(duration)] = counts.get(duration_bucket(duration), 0) + 1
    for share, place in ((0.5, 49_999), (0.95, 94_999), (0.99, 98_999)):
        assert percentile(counts, share) == pytest.approx(sorted(durations)[place], rel=0.02)


def test_failed_items_that_run_again_leave_the_distribution(client: Client, documented: Batch) -> None:
    services.retry_failed(documented, actor_id=None)
    shown = client.get(f"/api/batch/{documented.public_id}/viz").json()["visualization"]
    assert shown["errorDistribution"] == []
    assert shown["overview"]["failed"] == 0
    end_items(documented, "failed", [98], error_category="server", error_code="x", error_message="y")
    count(documented, "failed:server", 1, 1)
    shown = client.get(f"/api/batch/{documented.public_id}/viz").json()["visualization"]
    assert [(one["error"], one["percentage"]) for one in shown["errorDistribution"]] == [("Server error", 100)]


def test_cancelling(client: Client, submit: Submit) -> None:
    response = client.post(f"/api/batch/{submit().public_id}/cancel")
    assert response.status_code == 200
    assert response.json() == {"success": True, "message": "Batch cancelled successfully"}


# --- All batches


def test_history(client: Client, submit: Submit) -> None:
    batches = [submit() for _ in range(3)] + [submit("sms")]
    for batch in batches[1:]:
        settle(batch)
    body = client.get("/api/batch/history?status=completed&operation=rate_photos&limit=20&offset=0").json()
    assert [batch["id"] for batch in body.pop("batches")] == [batches[2].public_id, batches[1].public_id]
    assert body == {
        "success": True,
        "count": 2,
        "total": 2,
        "filter": {"status": "completed", "operation": "rate_photos", "limit": 20, "offset": 0},
    }


def test_history_in_pages(client: Client, submit: Submit) -> None:
    batches = [submit() for _ in range(5)]
    body = client.get("/api/batch/history?limit=2&offset=3").json()
    assert [batch["id"] for batch in body["batches"]] == [batches[1].public_id, batches[0].public_id]
    assert (body["count"], body["total"], body["filter"]) == (2, 5, {"limit": 2, "offset": 3})
    assert client.get("/api/batch/history").json()["filter"] == {"limit": 50, "offset": 0}


def test_history_by_date(client: Client, submit: Submit) -> None:
    old, young = submit(), submit()
    Batch.objects.filter(pk=old.pk).update(created_at="2025-12-20T10:00:00Z")

    def found(query: str) -> list[str]:
        body = client.get(f"/api/batch/history?{query}").json()
        return [batch["id"] for batch in body["batches"]]

    assert found("createdBefore=2025-12-20T10:00:00.001Z") == [old.public_id]
    assert found("createdBefore=2025-12-20T10:00:00Z") == []
    assert found("createdAfter=2025-12-20T10:00:00Z&createdBefore=2025-12-21") == [old.public_id]
    assert found("createdAfter=2025-12-20T12:00:00%2B02:00&createdBefore=2026-01-01") == [old.public_id]
    assert found("createdAfter=2025-12-20T12:00:00+02:00&createdBefore=2026-01-01") == [old.public_id]
    assert found("createdAfter=2025-12-20T10:00:01Z") == [young.public_id]


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("status=done", {"status": "invalid_choice"}),
        ("createdAfter=yesterday", {"createdAfter": "invalid_time"}),
        ("createdBefore=", {"createdBefore": "invalid_time"}),
        ("createdAfter=0001-01-01T00:00:00%2B23:00", {"createdAfter": "invalid_time"}),
        ("limit=101", {"limit": "out_of_range"}),
        ("operation=%00", {"operation": "invalid_text"}),
        ("operation=" + "x" * 65, {"operation": "too_long"}),
        ("staus=failed", {"staus": "unknown_field"}),
    ],
)
def test_filters_that_are_none(client: Client, query: str, problems: dict[str, str]) -> None:
    assert problems_of(client.get(f"/api/batch/history?{query}")) == problems


def test_statistics(client: Client, submit: Submit) -> None:
    for operation, status in (("rate_photos", "completed"), ("rate_photos", "failed"), ("sms", "completed")):
        settle(submit(operation), status)
    submit("sms")
    assert client.get("/api/batch/stats").json() == {
        "success": True,
        "stats": {
            "total": 4,
            "byStatus": {"pending": 0, "running": 1, "completed": 2, "failed": 1, "cancelled": 0},
            "byOperation": {"rate_photos": 2, "sms": 2},
            "completionRate": 0.5,
        },
    }


def test_statistics_of_nobody(client: Client) -> None:
    stats = client.get("/api/batch/stats").json()["stats"]
    assert (stats["total"], stats["byOperation"], stats["completionRate"]) == (0, {}, 0.0)


@pytest.mark.parametrize(
    "path", ["/api/batch/history", "/api/batch/stats", "/api/batch/{id}/viz", "/api/batch/{id}/analytics"]
)
def test_no_item_row_is_read(client: Client, documented: Batch, path: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(path.format(id=documented.public_id)).status_code == 200
    assert not [query["sql"] for query in queries if '"batches_item"' in query["sql"]]
    assert len(queries) <= 4


# --- Cleanup


def over(batch: Batch, days: float) -> Batch:
    settle(batch)
    Batch.objects.filter(pk=batch.pk).update(completed_at=Now() - timedelta(days=days))
    batch.refresh_from_db()
    return batch


def test_cleanup(client: Client, submit: Submit, bob: User) -> None:
    old, young = over(submit(), 61), over(submit(), 59)
    running, others = submit(), over(submit(owner=bob), 61)
    Batch.objects.filter(pk=running.pk).update(created_at=Now() - timedelta(days=400))
    response = client.delete("/api/batch/cleanup", {"daysToKeep": 60}, content_type=JSON)
    assert response.status_code == 200
    assert response.json() == {"success": True, "deleted": 1, "daysToKeep": 60}
    assert client.get(f"/api/batch/{old.public_id}").status_code == 404
    assert [client.get(f"/api/batch/{one.public_id}").status_code for one in (young, running)] == [200, 200]
    assert client_of(bob).get(f"/api/batch/{others.public_id}").status_code == 200
    assert client.get("/api/batch/stats").json()["stats"]["total"] == 2
    assert client.get("/api/batch/history").json()["total"] == 2
    again = client.delete("/api/batch/cleanup", {"daysToKeep": 60}, content_type=JSON)
    assert again.json()["deleted"] == 0
    entry = AuditEntry.objects.get(action="cleanup")
    assert (entry.owner, entry.details) == (old.owner, {"batches": 1, "daysToKeep": 60})


def test_cleanup_by_query_and_by_default(client: Client, submit: Submit, settings: Any) -> None:
    for days in (5, 20, 40):
        over(submit(), days)
    settings.BATCH_RETENTION_DAYS = 30
    assert client.delete("/api/batch/cleanup").json() == {"success": True, "deleted": 1, "daysToKeep": 30}
    body = client.delete("/api/batch/cleanup?daysToKeep=10").json()
    assert body == {"success": True, "deleted": 1, "daysToKeep": 10}
    assert client.delete("/api/batch/cleanup?daysToKeep=0").json()["deleted"] == 1


@pytest.mark.parametrize(
    ("query", "body", "problems"),
    [
        ("", {"daysToKeep": -1}, {"daysToKeep": "out_of_range"}),
        ("", {"daysToKeep": "30"}, {"daysToKeep": "invalid_type"}),
        ("", {"daysToKeep": True}, {"daysToKeep": "invalid_type"}),
        ("", {"daysToKeep": 1.5}, {"daysToKeep": "invalid_type"}),
        ("", {"daysToKeep": 10**30}, {"daysToKeep": "out_of_range"}),
        ("", {"days": 3}, {"days": "unknown_field"}),
        ("?daysToKeep=x", {}, {"daysToKeep": "out_of_range"}),
        ("?daysToKeep=5", {"daysToKeep": 6}, {"daysToKeep": "contradiction"}),
    ],
)
def test_cleanups_that_are_refused(
    client: Client, submit: Submit, query: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    batch = over(submit(), 4000)
    assert problems_of(client.delete(f"/api/batch/cleanup{query}", body, content_type=JSON)) == problems
    assert client.get(f"/api/batch/{batch.public_id}").status_code == 200


def test_deleted_rows_go_in_chunks_and_their_usage_stays(
    client: Client, documented: Batch, monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    monkeypatch.setattr(retention, "PURGED_AT_ONCE", 30)
    item = documented.items.first()
    assert item is not None
    ItemError.objects.create(item=item, batch=documented, code="x", category="server", message="m", count=3)
    today = timezone.now().date()
    Batch.objects.filter(pk=documented.pk).update(provider="openai-gpt-5")
    counted = {"ended": 100, "ended_badly": 2, "calls": 105, "spent": 7 * PARTS, "spent:simulated": 8, "unpriced": 9}
    for measure, number in counted.items():
        count(documented, measure, (today - usage.EPOCH).days, number)
    before = usage.used_by(alice.pk, today, today)
    Batch.objects.filter(pk=documented.pk).update(completed_at=Now() - timedelta(days=100))
    client.delete("/api/batch/cleanup", {"daysToKeep": 1}, content_type=JSON)
    assert retention.purge_deleted(0.0) == 0
    assert retention.purge_deleted(60.0) == 1
    assert retention.purge_deleted(60.0) == 0
    assert [model.objects.count() for model in (Batch, Item, ItemError, BatchHistogram)] == [0, 0, 0, 0]
    assert [(used.items, used.failed, used.calls, used.unpriced) for used in before] == [(100, 2, 105, 9)]
    assert before[0].cost is not None
    assert before[0].cost.amount == 7
    assert usage.used_by(alice.pk, today, today) == before


def test_usage_of_batches_that_were_deleted_before_costs_were_kept(alice: User) -> None:
    today = timezone.now().date()
    for operation in ("annotate", "export"):
        Usage.objects.create(owner=alice, day=today, operation=operation, items=3, failed=1, calls=4)
    annotate, export = usage.used_by(alice.pk, today, today)
    assert (annotate.items, annotate.calls, annotate.unpriced, annotate.cost) == (3, 4, 4, None)
    assert (export.items, export.calls, export.unpriced, export.cost) == (3, 4, 0, None)


def test_usage_is_read_by_an_index_of_its_own(db: None) -> None:
    """Not of all that is counted: ten thousand batches have two million such rows."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("ALTER TABLE batches_batchhistogram DROP CONSTRAINT batch_histogram_bucket")
        cursor.execute(f"EXPLAIN {usage.OF_OWNER}", {"owner": 1, "first": 0, "end": 1})
        assert "batch_histogram_used" in str(cursor.fetchall())


def test_everybodys_old_batches_go_by_themselves(submit: Submit, bob: User, settings: Any) -> None:
    settings.BATCH_RETENTION_DAYS = 30
    over(submit(), 31)
    over(submit(owner=bob), 31)
    young = over(submit(), 29)
    assert retention.give_up_old_batches() == 2
    assert Batch.objects.get(deleted_at=None) == young


def test_a_deleted_batch_is_not_reopened(submit: Submit) -> None:
    batch = over(submit(), 10)
    end_items(batch, "failed", [0])
    Batch.objects.filter(pk=batch.pk).update(deleted_at=Now())
    with pytest.raises(Conflict):
        services.retry_failed(batch, actor_id=None)
