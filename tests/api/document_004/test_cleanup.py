"""Old batches go, asked for or by themselves, and what they used stays counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from batches import retention, services, usage
from batches.models import AuditEntry, Batch, BatchHistogram, Item, ItemError, Usage
from batches.problems import Conflict
from providers.prices import PARTS
from tests.api.conftest import Submit, client_of, end_items, problems_of, settle
from tests.api.document_004.conftest import JSON, count


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
