"""What is drawn of one batch: distributions, durations, the timeline."""

from __future__ import annotations

import random

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from batches import services
from batches.api.shapes import instant
from batches.figures import Figures
from batches.histogram import duration_bucket, percentile
from batches.models import Batch, BatchHistogram
from tests.api.conftest import Submit, end_items, settle
from tests.api.document_004.conftest import count


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
