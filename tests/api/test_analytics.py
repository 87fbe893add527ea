"""A batch in figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.api.analytics import recent_rate, timeline, times
from batches.figures import Figures
from batches.histogram import duration_bucket
from batches.models import Batch, BatchHistogram
from tests.api.conftest import Submit, client_of, end_items

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLOT = int(NOW.timestamp()) // 10


def count(batch: Batch, measure: str, bucket: int, number: int) -> None:
    BatchHistogram.objects.create(batch=batch, measure=measure, bucket=bucket, count=number)


def figures(client: Client, batch: Batch) -> dict[str, Any]:
    body = client.get(f"/api/batch/{batch.public_id}/analytics").json()
    assert body["success"] is True
    return dict(body["analytics"])


def test_a_campaign_in_figures(client: Client, submit: Submit) -> None:
    batch = submit("sms", count=4, priority="low", rate_limit=60.0)
    end_items(batch, "succeeded", [0, 1, 2])
    end_items(batch, "failed", [3])
    for milliseconds, number in ((100, 50), (1000, 49), (5000, 1)):
        count(batch, "duration", duration_bucket(milliseconds), number)
    count(batch, "error:timeout", 0, 2)
    count(batch, "error:server", 0, 5)
    count(batch, "failed:server", 0, 1)
    count(batch, "finished", SLOT, 4)
    shown = figures(client, batch)
    assert shown["totals"] == {
        "total": 4,
        "pending": 0,
        "completed": 3,
        "failed": 1,
        "cancelled": 0,
        "unknown": 0,
    }
    assert shown["successRate"] == 0.75
    assert shown["durations"]["measured"] == 100
    assert shown["durations"]["p50"] == pytest.approx(100, rel=0.03)
    assert shown["durations"]["p95"] == pytest.approx(1000, rel=0.03)
    assert shown["errors"] == [{"category": "server", "count": 5}, {"category": "timeout", "count": 2}]
    assert shown["failures"] == [{"category": "server", "count": 1}]
    assert shown["rateLimit"] == {
        "priority": "low",
        "perSecond": 1.0,
        "configured": 60.0,
        "waitedSeconds": 0.0,
        "averageWaitSeconds": None,
    }
    assert shown["timeline"] == [{"at": "2026-01-01T00:00:00.000Z", "finished": 4}]


@pytest.mark.parametrize(("priority", "rate"), [("high", 8.0), ("normal", 5.0), ("low", 2.0)])
def test_the_priority_sets_the_rate(client: Client, submit: Submit, priority: str, rate: float) -> None:
    shown = figures(client, submit("sms", priority=priority))
    limited = shown["rateLimit"]
    assert (limited["priority"], limited["perSecond"], limited["configured"]) == (priority, rate, None)


def test_owners_of_photos_learn_nothing_of_retries(client: Client, submit: Submit) -> None:
    batch = submit()
    count(batch, "error:timeout", 0, 2)
    count(batch, "failed:server", 0, 1)
    assert figures(client, batch)["errors"] == [{"category": "server", "count": 1}]


def test_staff_do(submit: Submit, staff: User) -> None:
    batch = submit(owner=staff)
    count(batch, "error:timeout", 0, 2)
    assert figures(client_of(staff), batch)["errors"] == [{"category": "timeout", "count": 2}]


def test_a_batch_without_any_figure(client: Client, submit: Submit) -> None:
    shown = figures(client, submit(auto_start=False))
    assert shown["messagesPerSecond"] == {"overall": 0.0, "recent": 0.0}
    nothing = {"measured": 0, "average": None, "p50": None, "p95": None, "p99": None}
    assert shown["durations"] == nothing
    assert shown["waits"] == {"queue": nothing, "limits": nothing}
    assert (shown["errors"], shown["failures"], shown["timeline"]) == ([], [], [])


def test_a_provider_that_left_the_settings(client: Client, submit: Submit) -> None:
    batch = submit()
    Batch.objects.filter(pk=batch.pk).update(provider="gone")
    assert figures(client, batch)["rateLimit"]["perSecond"] is None


def test_the_recent_rate_forgets_what_is_long_ago() -> None:
    finished = {SLOT - 100: 10_000, SLOT - 3: 60}
    assert recent_rate(finished, NOW - timedelta(hours=1), NOW) == 1.0
    assert recent_rate(finished, NOW - timedelta(seconds=30), NOW) == 2.0
    assert recent_rate(finished, None, NOW) == 0.0
    assert recent_rate(finished, NOW, NOW) == 0.0


def test_the_timeline_is_the_last_hour_in_order() -> None:
    shown = timeline({SLOT - number: number for number in range(500)})
    assert len(shown) == 360
    assert shown[-1] == {"at": "2026-01-01T00:00:00.000Z", "finished": 0}
    assert shown == sorted(shown, key=lambda slot: slot["at"])


def test_durations_of_one_call() -> None:
    figures = Figures({"duration": {0: 1}, "duration_sum": {0: 1}})
    assert times(figures.durations) == {"measured": 1, "average": 1.0, "p50": 1.0, "p95": 1.0, "p99": 1.0}
