"""``/api/v1/topics``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from records import topics
from records.models import Topic
from tests.records.conftest import JSON, Remember
from tests.records.memory_service import get, post, put


def new(client: Client, name: str, **fields: Any) -> Any:
    return post(client, "topics", {"name": name, **fields}).json()


def test_a_topic_from_its_creation_to_its_end(client: Client, remember: Remember, alice: User) -> None:
    response = post(client, "topics", {"name": "n", "description": "d", "color": "#1a2B3c", "icon": "i", "x": 1})
    assert response.status_code == 201
    topic = response.json()
    assert (topic["name"], topic["description"], topic["color"], topic["icon"]) == ("n", "d", "#1a2B3c", "i")
    assert (topic["user_id"], topic["parent_topic_id"], topic["is_system"]) == (str(alice.pk), None, False)
    assert get(client, "topics").json() == [topic]
    assert get(client, f"topics/{topic['id']}").json() == topic
    changed = put(client, f"topics/{topic['id']}", {"name": "m", "description": None}).json()
    assert (changed["name"], changed["description"], changed["icon"]) == ("m", None, "i")
    memory = remember(topic=Topic.objects.get())
    assert get(client, f"memory/{memory.public_id}").json()["topic_id"] == topic["id"]
    assert client.delete(f"/api/v1/topics/{topic['id']}/").status_code == 204
    assert get(client, f"memory/{memory.public_id}").json()["topic_id"] is None
    assert get(client, f"topics/{topic['id']}").status_code == 404


def test_the_tree(client: Client, remember: Remember) -> None:
    top = new(client, "top")
    below = new(client, "below", parent_topic_id=top["id"])
    remember(topic=Topic.objects.get(name="below"))
    (root,) = get(client, "topics", include_hierarchy="true").json()
    assert (root["name"], root["memory_count"]) == ("top", 0)
    assert [(one["id"], one["memory_count"], one["children"]) for one in root["children"]] == [(below["id"], 1, [])]


def test_a_topic_with_its_memories(client: Client, remember: Remember) -> None:
    top = new(client, "top")
    new(client, "below", parent_topic_id=top["id"])
    for content in "abc":
        remember(content, topic=Topic.objects.get(name="top"))
    body = get(client, f"topics/{top['id']}/memories", limit=1, offset=1).json()
    assert body["topic"] == top
    assert [one["content"] for one in body["memories"]] == ["b"]
    assert body["total_memories"] == 3
    assert [(one["name"], one["memory_count"]) for one in body["subtopics"]] == [("below", 0)]


def test_a_memory_is_filed_and_refiled(client: Client) -> None:
    one, other = new(client, "one"), new(client, "other")
    memory = post(client, "memory", {"content": "x", "topic_id": one["id"].upper()}).json()
    assert memory["topic_id"] == one["id"]
    assert put(client, f"memory/{memory['id']}", {"topic_id": other["id"]}).json()["topic_id"] == other["id"]
    assert put(client, f"memory/{memory['id']}", {"topic_id": None}).json()["topic_id"] is None


def test_a_repeated_create_is_the_same_topic_and_another_of_the_name_a_conflict(client: Client) -> None:
    assert new(client, "n")["id"] == new(client, "n")["id"]
    response = post(client, "topics", {"name": "n", "description": "another"})
    assert response.status_code == 409
    assert isinstance(response.json()["error"], str)
    parent = new(client, "p")
    assert post(client, "topics", {"name": "n", "parent_topic_id": parent["id"]}).status_code == 201


def test_no_ring_of_topics(client: Client) -> None:
    top = new(client, "top")
    below = new(client, "below", parent_topic_id=top["id"])
    for topic in (top, below):
        response = put(client, f"topics/{top['id']}", {"parent_topic_id": topic["id"]})
        assert response.status_code == 400
        assert response.json()["details"][0]["code"] == "invalid_parent"


def test_a_tree_has_an_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "DEEPEST", 1)
    first = new(client, "1")
    second = new(client, "2", parent_topic_id=first["id"])
    assert post(client, "topics", {"name": "3", "parent_topic_id": second["id"]}).status_code == 400
    monkeypatch.setattr(topics, "MOST_TOPICS", 2)
    assert post(client, "topics", {"name": "4"}).status_code == 409


def test_topics_below_a_deleted_one_move_up(client: Client) -> None:
    top = new(client, "top")
    middle = new(client, "middle", parent_topic_id=top["id"])
    new(client, "low", parent_topic_id=middle["id"])
    client.delete(f"/api/v1/topics/{middle['id']}")
    low = Topic.objects.get(name="low")
    assert low.parent is not None
    assert low.parent.name == "top"
    new(client, "low")
    response = client.delete(f"/api/v1/topics/{top['id']}")
    assert response.status_code == 409
    assert Topic.objects.count() == 3


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 1}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "description": "x" * 501}, "description"),
        ({"name": "x", "color": "red"}, "color"),
        ({"name": "x", "color": 1}, "color"),
        ({"name": "x", "color": {}}, "color"),
        ({"name": "x", "icon": []}, "icon"),
        ({"name": "x", "icon": ["y"]}, "icon"),
        ({"name": "x", "metadata": 1}, "metadata"),
        ({"name": "x", "parent_topic_id": "y"}, "parent_topic_id"),
        ({"name": "x", "parent_topic_id": "00000000-0000-0000-0000-000000000000"}, "parent_topic_id"),
    ],
)
def test_bad_topics(client: Client, body: dict[str, Any], path: str) -> None:
    response = post(client, "topics", body)
    assert response.status_code == 400
    assert response.json()["details"][0]["path"] == path
    assert not Topic.objects.exists()


def test_another_owners_topics_do_not_exist(client: Client, bobs_client: Client, remember: Remember) -> None:
    theirs = new(bobs_client, "theirs")
    assert get(client, "topics").json() == []
    one = f"topics/{theirs['id']}"
    for response in (
        get(client, one),
        put(client, one, {"name": "x"}),
        client.delete(f"/api/v1/{one}"),
        get(client, f"{one}/memories"),
        get(client, "topics/nonsense"),
    ):
        assert response.status_code == 404
    assert post(client, "topics", {"name": "x", "parent_topic_id": theirs["id"]}).status_code == 400
    memory = remember()
    assert client.put(f"/api/v1/memory/{memory.public_id}", {"topic_id": theirs["id"]}, JSON).status_code == 400
    assert Topic.objects.get().name == "theirs"
