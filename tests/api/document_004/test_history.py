"""All batches of an owner: the list and its filters, the statistics."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from batches.models import Batch
from tests.api.conftest import Submit, problems_of, settle


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
