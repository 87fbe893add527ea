"""Statistics of the memory service."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from records.models import Activity, Topic
from tests.records.conftest import Remember
from tests.records.memory_service import get, post, put


def test_stats(client: Client, remember: Remember, bob: User, alice: User) -> None:
    first, second = remember("a", memory_type="project", access_count=3), remember("b")
    remember("gone", status="deleted")
    remember("theirs", owner=bob)
    Topic.objects.create(owner=alice, name="t")
    body = get(client, "memory/stats").json()
    assert body["total_memories"] == 2
    assert body["memories_by_type"] == {
        "context": 1,
        "project": 1,
        "knowledge": 0,
        "reference": 0,
        "personal": 0,
        "workflow": 0,
    }
    assert (body["total_topics"], body["most_accessed_memory"]) == (1, first.public_id)
    assert body["recent_memories"] == [second.public_id, first.public_id]


def test_extended_stats(client: Client, remember: Remember) -> None:
    remember("x" * 1024, project_ref="p", tags=["a", "b"])
    remember("y" * 1024, tags=["a"])
    post(client, "memory/search", {"query": "x"})
    body = get(client, "analytics/stats").json()
    assert (body["total_memories"], body["by_type"]["context"]) == (2, 2)
    assert body["by_project"] == [{"project_id": "p", "project_name": "p", "count": 1}]
    assert body["storage"] == {"total_size_mb": 0.002, "avg_memory_size_kb": 1.0, "total_chunks": 2}
    assert body["activity"] == {"created_today": 2, "updated_today": 0, "searched_today": 1}
    assert body["top_tags"] == [{"tag": "a", "count": 2}, {"tag": "b", "count": 1}]


def test_search_analytics(client: Client, remember: Remember) -> None:
    remember("apple")
    for query in ("apple", "Apple", "nothing"):
        post(client, "memory/search", {"query": query})
    Activity.objects.filter(query="nothing").update(at=timezone.now() - timedelta(days=40))
    body = get(client, "analytics/search").json()
    assert (body["total_searches"], body["avg_results_count"]) == (2, 1.0)
    assert body["avg_execution_time_ms"] > 0
    assert body["search_types"] == {"vector": 0, "text": 2, "hybrid": 0}
    assert body["popular_queries"] == [{"query": "apple", "count": 2, "avg_results": 1.0}]
    (day,) = body["by_date"]
    assert (day["date"], day["searches"]) == (timezone.now().date().isoformat(), 2)
    long_ago = (timezone.now() - timedelta(days=60)).date().isoformat()
    today = timezone.now().date().isoformat()
    whole = get(client, "analytics/search", **{"from": long_ago, "to": today, "group_by": "month"}).json()
    assert whole["total_searches"] == 3
    assert len(whole["by_date"]) == 2


def test_access_patterns(client: Client, remember: Remember) -> None:
    memory, other = remember("apple"), remember("pear")
    get(client, f"memory/{memory.public_id}")
    get(client, f"memory/{memory.public_id}")
    put(client, f"memory/{memory.public_id}", {"title": "x"})
    post(client, "memory/search", {"query": "apple"})
    post(client, "memory/bulk/delete", {"memory_ids": [other.public_id]})
    body = get(client, "analytics/access").json()
    assert body["total_accesses"] == 5
    assert body["by_type"] == {"read": 3, "update": 1, "delete": 1}
    assert body["by_method"] == {"api": 1, "search": 1, "direct": 3}
    assert body["most_accessed"][0]["memory_id"] == memory.public_id
    assert (body["most_accessed"][0]["access_count"], body["most_accessed"][0]["title"]) == (2, "x")
    assert [one["hour"] for one in body["access_by_hour"]] == list(range(24))
    assert sum(one["count"] for one in body["access_by_hour"]) == 5


@pytest.mark.parametrize("path", ["analytics/search", "analytics/access"])
def test_bad_stretches(client: Client, path: str) -> None:
    assert get(client, path, **{"from": "yesterday"}).status_code == 400
    assert get(client, path, to="2020-13-01").status_code == 400
    assert get(client, path, to="2020-01-01T00:00:00").status_code == 200


def test_bad_groups(client: Client) -> None:
    assert get(client, "analytics/search", group_by="hour").status_code == 400
