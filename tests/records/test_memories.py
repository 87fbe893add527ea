"""The memory service's routes for one memory, as its client calls them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches.models import ApiKey, IdempotentReply
from records.models import Record
from tests.records.conftest import JSON, Remember, client_of
from tests.records.memory_service import FIELDS, NEW, WORDS, get, post, put


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


def test_health(client: Client, anonymous: Client) -> None:
    body = get(client, "health").json()
    assert body["status"] == "ok"
    assert body["timestamp"].endswith("Z")
    assert get(anonymous, "health").status_code == 401
