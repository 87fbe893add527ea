"""``/api/v1/memory`` and ``/api/v1/memories``, called as the service's JavaScript client 2.2.0 calls them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches.models import ApiKey, IdempotentReply
from records.models import Activity, Record, Topic
from tests.records.conftest import JSON, Remember, client_of

NEW = {"title": "T", "content": "C", "memory_type": "knowledge", "tags": ["a"], "metadata": {"k": 1}}
FIELDS = {
    "id",
    "title",
    "content",
    "summary",
    "memory_type",
    "status",
    "relevance_score",
    "access_count",
    "last_accessed",
    "user_id",
    "topic_id",
    "project_ref",
    "tags",
    "metadata",
    "created_at",
    "updated_at",
}
WORDS = ["memory", "memories"]


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type=JSON, headers=headers)


def put(client: Client, path: str, body: Any) -> Any:
    return client.put(f"/api/v1/{path}", json.dumps(body), content_type=JSON)


def get(client: Client, path: str, **parameters: Any) -> Any:
    return client.get(f"/api/v1/{path}", parameters)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_memory_from_its_creation_to_its_end(client: Client, alice: User, word: str, slash: str) -> None:
    created = post(client, word + slash, {**NEW, "organization_id": "o", "preprocessing": {"cleanContent": True}})
    assert created.status_code == 201
    entry = created.json()
    assert set(entry) == FIELDS
    assert (entry["title"], entry["memory_type"], entry["status"]) == ("T", "knowledge", "active")
    assert (entry["user_id"], entry["access_count"], entry["metadata"]) == (str(alice.pk), 0, {"k": 1})

    one = f"{word}/{entry['id']}{slash}"
    assert get(client, one).json() == {
        **entry,
        "access_count": 1,
        "last_accessed": get(client, f"{word}").json()["data"][0]["last_accessed"],
    }

    changed = put(client, one, {"content": "D", "status": "archived", "rechunk": True, "topic_id": None})
    assert changed.status_code == 200
    assert (changed.json()["content"], changed.json()["status"], changed.json()["title"]) == ("D", "archived", "T")
    patched = client.patch(f"/api/v1/{one}", {"tags": []}, content_type=JSON)
    assert (patched.json()["tags"], patched.json()["content"]) == ([], "D")

    gone = client.delete(f"/api/v1/{one}")
    assert (gone.status_code, gone.content) == (204, b"")
    for response in (get(client, one), put(client, one, {"title": "x"}), client.delete(f"/api/v1/{one}")):
        assert response.status_code == 404
        assert response.json()["error"] == "Memory not found"
        assert response.json()["code"] == "NOT_FOUND"


def test_an_empty_body_with_a_json_type_is_no_hindrance_to_a_delete(client: Client, remember: Remember) -> None:
    memory = remember()
    response = client.delete(f"/api/v1/memory/{memory.public_id}", b"", content_type=JSON)
    assert response.status_code == 204


def test_defaults_that_the_client_leaves_to_the_server(client: Client) -> None:
    entry = post(client, "memory", {"title": "T", "content": "C"}).json()
    assert (entry["memory_type"], entry["status"], entry["tags"], entry["metadata"]) == ("context", "active", [], {})


def test_without_a_title_there_is_the_first_line(client: Client) -> None:
    entry = post(client, "memory", {"content": f"\n{'x' * 90}\nmore"}).json()
    assert entry["title"] == "x" * 80 + "..."


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_both_ways_to_send_a_key(anonymous: Client, alice: User, header: str) -> None:
    _, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    value = secret if header == "X-API-Key" else f"Bearer {secret}"
    assert anonymous.get("/api/v1/memory", headers={header: value}).status_code == 200
    assert anonymous.get("/api/v1/memory", headers={header: value + "x"}).status_code == 401


def test_a_repeated_create_is_the_same_memory(client: Client, alice: User) -> None:
    first, second = post(client, "memory", NEW), post(client, "memories/", dict(reversed(NEW.items())))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Record.objects.count() == 1
    # Another key, another body: another memory.
    post(client_of(alice), "memory", NEW)
    post(client, "memory", {**NEW, "title": "U"})
    assert Record.objects.count() == 3


@pytest.mark.django_db(transaction=True)  # within one transaction it would always be the same instant
def test_what_was_deleted_or_changed_can_be_created_again(client: Client) -> None:
    first = post(client, "memory", NEW).json()["id"]
    client.delete(f"/api/v1/memory/{first}")
    second = post(client, "memory", NEW).json()["id"]
    put(client, f"memory/{second}", {"title": "changed"})
    third = post(client, "memory", NEW).json()["id"]
    assert len({first, second, third}) == 3
    assert Record.objects.count() == 2


def test_a_repeat_after_two_minutes_is_meant(client: Client) -> None:
    first = post(client, "memory", NEW).json()["id"]
    IdempotentReply.objects.update(created_at=timezone.now() - timedelta(seconds=121))
    assert post(client, "memory", NEW).json()["id"] != first


def test_an_idempotency_key_holds_for_longer(client: Client) -> None:
    first = post(client, "memory", NEW, **{"Idempotency-Key": "k"})
    IdempotentReply.objects.update(created_at=timezone.now() - timedelta(hours=1))
    second = post(client, "memory", NEW, **{"Idempotency-Key": "k"})
    assert (first.json(), second["Idempotent-Replayed"]) == (second.json(), "true")
    assert post(client, "memory", {"content": "other"}, **{"Idempotency-Key": "k"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": 1}, "content"),
        ({"content": "x", "tags": "a,b"}, "tags"),
        ({"content": "x", "memory_type": "x"}, "memory_type"),
        ({"content": "x", "status": None}, "status"),
        ({"content": "x", "metadata": "x"}, "metadata"),
        ({"content": "x", "project_ref": "x" * 256}, "project_ref"),
        ({"content": "x", "summary": "x" * 1001}, "summary"),
        ({"content": "x", "topic_id": 1}, "topic_id"),
        ({"content": "x", "topic_id": "00000000-0000-0000-0000-000000000000"}, "topic_id"),
    ],
)
def test_bad_input_is_an_error_with_a_text(client: Client, body: Any, path: str) -> None:
    response = post(client, "memory", body)
    assert response.status_code == 400
    answer = response.json()
    assert isinstance(answer["error"], str)
    assert path in answer["error"]
    assert answer["message"] == answer["error"]
    assert answer["code"] == "VALIDATION_ERROR"
    assert answer["details"][0]["path"] == path
    assert not Record.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"content": "\xff"}', b'{"content": NaN}', b'{"content": "\\u0000"}'])
@pytest.mark.parametrize("path", ["memory", "memory/search", "memory/bulk/delete", "topics", "memories/list"])
def test_bodies_that_are_none(client: Client, path: str, body: bytes) -> None:
    response = client.post(f"/api/v1/{path}", body, content_type=JSON)
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)
    assert client.post(f"/api/v1/{path}", b"a=1", content_type="text/plain").status_code == 415


def test_an_update_of_nothing(client: Client, remember: Remember) -> None:
    memory = remember()
    assert put(client, f"memory/{memory.public_id}", {}).status_code == 400
    assert put(client, f"memory/{memory.public_id}", {"unknown": 1}).status_code == 400
    assert put(client, f"memory/{memory.public_id}", {"content": None}).status_code == 400


def test_pages_of_a_list(client: Client, remember: Remember) -> None:
    for number in range(5):
        remember(str(number))
    body = get(client, "memory", page=2, limit=2).json()
    assert [one["content"] for one in body["data"]] == ["2", "1"]
    assert body["pagination"] == {"page": 2, "limit": 2, "total": 5, "pages": 3}
    assert get(client, "memory", page=9).json()["data"] == []
    assert get(client, "memory").json()["pagination"]["limit"] == 20


@pytest.mark.parametrize("word", WORDS)
def test_filters_of_a_list(client: Client, remember: Remember, alice: User, word: str) -> None:
    topic = Topic.objects.create(owner=alice, name="t")
    remember("a", tags=["x", "y"], memory_type="project", topic=topic, project_ref="p")
    remember("b", tags=["y"], status="archived")
    remember("c", tags=["z"], status="deleted")

    def contents(**parameters: Any) -> str:
        return "".join(sorted(one["content"] for one in get(client, word, **parameters).json()["data"]))

    assert contents() == "ab"
    assert contents(tags="x,z") == "a"
    assert contents(tags="y") == "ab"
    assert contents(status="deleted") == "c"
    assert contents(status="archived,deleted") == "bc"
    assert contents(memory_type="project") == "a"
    assert contents(topic_id=str(topic.public_id)) == "a"
    assert contents(project_ref="p") == "a"
    assert contents(project_ref="q") == ""
    listed = post(client, f"{word}/list", {"tags": ["x"], "limit": 5}).json()
    assert [one["content"] for one in listed["data"]] == ["a"]


def test_orders_of_a_list(client: Client, remember: Remember) -> None:
    for title in ("b", "c", "a"):
        remember("x", title=title)

    def titles(**parameters: Any) -> str:
        return "".join(one["title"] for one in get(client, "memory", **parameters).json()["data"])

    assert titles() == "acb"
    assert titles(order="asc") == "bca"
    assert titles(sort="title", order="asc") == "abc"
    assert titles(sort="title", order="desc") == "cba"
    assert titles(sort="created_at", order="asc") == "bca"


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": 0},
        {"page": "x"},
        {"limit": 101},
        {"limit": -1},
        {"sort": "content"},
        {"order": "up"},
        {"status": "lost"},
        {"memory_type": "context,lost"},
        {"topic_id": "x"},
        {"project_ref": "x\x00"},
        {"tags": "\x00"},
    ],
)
def test_bad_parameters_of_a_list(client: Client, parameters: dict[str, Any]) -> None:
    response = get(client, "memory", **parameters)
    assert response.status_code == 400
    assert response.json()["details"][0]["path"].removesuffix(".0") in parameters


@pytest.mark.parametrize("word", WORDS)
def test_the_clients_search(client: Client, remember: Remember, word: str) -> None:
    remember("User authentication with tokens", tags=["auth"], title="Login")
    remember("Authentication of invoices", status="archived")
    body = post(client, f"{word}/search", {"query": "user authentication", "organization_id": "o"}).json()
    (result,) = body["results"]
    assert set(result) > FIELDS
    assert 0.9 <= result["similarity_score"] <= 1
    assert body["total_results"] == 1
    assert body["search_time_ms"] > 0


def test_the_threshold_is_seven_tenths_unless_another_is_asked_for(client: Client, remember: Remember) -> None:
    remember("one apple")
    query = "apple pear plum cherry"
    assert post(client, "memory/search", {"query": query}).json()["total_results"] == 0
    assert post(client, "memory/search", {"query": query, "threshold": 0}).json()["total_results"] == 1


def test_the_clients_enhanced_search(client: Client, remember: Remember, alice: User) -> None:
    topic = Topic.objects.create(owner=alice, name="t")
    wanted = remember(
        "Introduction\n\nTokens authenticate the user.\n\nThe end",
        tags=["auth"],
        topic=topic,
        project_ref="p",
        memory_type="project",
    )
    remember("Tokens authenticate the user", tags=["other"])
    today = timezone.now().date().isoformat()
    request = {
        "query": "authenticated tokens",
        "type": "project",
        "search_mode": "hybrid",
        "include_chunks": True,
        "filters": {
            "tags": ["auth"],
            "topic_id": str(topic.public_id),
            "project_id": "p",
            "date_range": {"from": today, "to": today},
        },
    }
    body = post(client, "memory/search", request).json()
    assert (body["total"], body["query"], body["threshold"]) == (1, "authenticated tokens", 0.7)
    assert body["search_mode"] == "text"
    assert body["execution_time_ms"] > 0
    (result,) = body["results"]
    assert result["id"] == wanted.public_id
    assert result["matching_chunks"] == [{"index": 1, "content": "Tokens authenticate the user.", "similarity": 1.0}]
    request["filters"]["date_range"] = {"to": "2020-01-01"}  # type: ignore[index]
    assert post(client, "memory/search", request).json()["total"] == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"query": ["x"]}, "query"),
        ({"limit": 0}, "limit"),
        ({"threshold": "high"}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"search_mode": "magic"}, "search_mode"),
        ({"include_chunks": "yes"}, "include_chunks"),
        ({"filters": []}, "filters"),
        ({"filters": {"tags": [1]}}, "filters.tags.0"),
        ({"filters": {"topic_id": {}}}, "filters.topic_id"),
        ({"filters": {"date_range": "today"}}, "filters.date_range"),
        ({"filters": {"date_range": {"from": "yesterday"}}}, "filters.date_range.from"),
        ({"filters": {"date_range": {"to": "9999-12-31"}}}, "filters.date_range.to"),
        ({"memory_types": ["lost"]}, "memory_types"),
        ({"status": "lost"}, "status"),
        ({"topic_id": "x"}, "topic_id"),
        ({"tags": [1]}, "tags.0"),
    ],
)
def test_bad_searches(client: Client, changes: dict[str, Any], path: str) -> None:
    response = post(client, "memory/search", {"query": "x", **changes})
    assert response.status_code == 400
    assert response.json()["details"][0]["path"] == path


@pytest.mark.parametrize("word", WORDS)
def test_the_clients_bulk_delete(client: Client, remember: Remember, bob: User, word: str) -> None:
    mine, theirs = [remember(), remember()], remember(owner=bob)
    ids = [one.public_id for one in (*mine, mine[0], theirs)]
    body = post(client, f"{word}/bulk/delete", {"memory_ids": ids}).json()
    assert body == {"deleted_count": 2, "failed_ids": [theirs.public_id]}
    assert list(Record.objects.all()) == [theirs]


@pytest.mark.parametrize("ids", [None, [], "x", [1], [None], ["x"] * 101, ["x" * 65], [""]])
def test_bad_bulk_deletes(client: Client, ids: Any) -> None:
    assert post(client, "memory/bulk/delete", {"memory_ids": ids}).status_code == 400


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


def test_health(client: Client, anonymous: Client) -> None:
    body = get(client, "health").json()
    assert body["status"] == "ok"
    assert body["timestamp"].endswith("Z")
    assert get(anonymous, "health").status_code == 401
