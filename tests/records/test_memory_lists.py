"""Lists and searches of the memory service, and what is deleted of them at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from records.models import Record, Topic
from tests.records.conftest import Remember
from tests.records.memory_service import FIELDS, WORDS, get, post


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
