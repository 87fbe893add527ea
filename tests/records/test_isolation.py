"""Every endpoint of the memory service: nobody without a key, nobody but the owner, no writing with a key to read."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from records.api.urls import urlpatterns
from records.models import Record, Topic
from tests.records.conftest import JSON, Remember, client_of

READS = [
    ("get", "memory"),
    ("get", "memory/list"),
    ("post", "memory/list"),
    ("post", "memory/search"),
    ("get", "memory/stats"),
    ("get", "memory/{memory}"),
    ("get", "topics"),
    ("get", "topics/{topic}"),
    ("get", "topics/{topic}/memories"),
    ("get", "analytics/stats"),
    ("get", "analytics/search"),
    ("get", "analytics/access"),
    ("get", "health"),
]
WRITES = [
    ("post", "batch"),
    ("post", "memory"),
    ("post", "memory/bulk/delete"),
    ("put", "memory/{memory}"),
    ("patch", "memory/{memory}"),
    ("delete", "memory/{memory}"),
    ("post", "topics"),
    ("put", "topics/{topic}"),
    ("patch", "topics/{topic}"),
    ("delete", "topics/{topic}"),
]
BODY = {"query": "x", "content": "x", "name": "x"}


@pytest.fixture
def ids(remember: Remember, alice: User) -> dict[str, str]:
    """Of Alice's."""
    topic = Topic.objects.create(owner=alice, name="t")
    return {"memory": remember("kept", topic=topic).public_id, "topic": str(topic.public_id)}


def call(client: Client, method: str, path: str, ids: dict[str, str]) -> int:
    url = f"/api/v1/{path.format(**ids)}"
    if method == "get":
        return client.get(url).status_code
    return int(getattr(client, method)(url, BODY, content_type=JSON).status_code)


def test_no_endpoint_is_forgotten() -> None:
    known = {re.sub(r"\{.*?\}", "_", path) for _, path in READS + WRITES}
    known |= {path.replace("memory", "memories", 1) for path in known if path.startswith("memory")}
    routes = {re.sub(r"\(.*?\)", "_", str(route.pattern)[1:]).removesuffix(r"/?\Z") for route in urlpatterns}
    assert routes == known


@pytest.mark.parametrize(("method", "path"), READS + WRITES)
def test_without_a_key_it_is_401(anonymous: Client, ids: dict[str, str], method: str, path: str) -> None:
    assert call(anonymous, method, path, ids) == 401


@pytest.mark.parametrize(("method", "path"), [one for one in READS + WRITES if "{" in one[1]])
def test_another_owners_things_do_not_exist(bobs_client: Client, ids: dict[str, str], method: str, path: str) -> None:
    assert call(bobs_client, method, path, ids) == 404
    record = Record.objects.get()
    assert (record.content, record.access_count, Topic.objects.get().name) == ("kept", 0, "t")


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_key_to_read_may_not_write(alice: User, ids: dict[str, str], method: str, path: str) -> None:
    assert call(client_of(alice, "read"), method, path, ids) == 403
    record = Record.objects.get()
    assert (record.content, Topic.objects.get().name) == ("kept", "t")


@pytest.mark.parametrize(("method", "path"), READS)
def test_a_key_to_read_may_read(alice: User, ids: dict[str, str], method: str, path: str) -> None:
    assert call(client_of(alice, "read"), method, path, ids) == 200


@pytest.mark.parametrize(("method", "path"), READS)
def test_a_key_to_write_may_not_read(alice: User, ids: dict[str, str], method: str, path: str) -> None:
    assert call(client_of(alice, "write"), method, path, ids) == 403


@pytest.mark.parametrize("memory_id", ["nothing", "mem_1", "%00", "é", "a" * 500, "'", "..%2f"])
def test_ids_that_are_none(client: Client, memory_id: str) -> None:
    response = client.get(f"/api/v1/memory/{memory_id}")
    assert response.status_code == 404
    assert isinstance(response.json()["error"], str)


def test_a_signed_in_browser_needs_its_token(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.get("/api/v1/memory").status_code == 200
    assert browser.post("/api/v1/memory", BODY, content_type=JSON).status_code == 403
