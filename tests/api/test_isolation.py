"""Every route of the API, taken from the router: nobody without a key, nobody but the owner, no write by a read key.

A route that is added is tried here by itself; only an id of a new kind must be given an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import SAFE_METHODS, AllowAny

from batches.api import throttling
from batches.files import store_file
from batches.models import ApiKey, Batch, Notification, StoredFile
from records.models import Record, Topic
from tests.api.conftest import Submit, client_of

METHODS = ("get", "post", "put", "patch", "delete")
ID = re.compile(r"\(\?P<(\w+)>\[A-Za-z0-9_-\]\{1,64\}\)")


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path templates and views under ``/api``."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern).removeprefix("^").removesuffix(r"/?\Z")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api/"):
            yield "/" + ID.sub(r"{\1}", path), getattr(pattern.callback, "cls", None)


ROUTES = list(routes(get_resolver().url_patterns))
OPEN = {path for path, view in ROUTES if AllowAny in getattr(view, "permission_classes", ())}
"""What anybody may call: the schema, and what proves itself by a signature."""
CALLS = [
    (path, method, view) for path, view in ROUTES if path not in OPEN for method in METHODS if hasattr(view, method)
]
NAMED = [(path, method) for path, method, _ in CALLS]
WITH_ID = [(path, method) for path, method in NAMED if "{" in path]


@pytest.fixture(autouse=True)
def unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "seconds_to_wait", lambda *_: 0.0)


@pytest.fixture
def ids(alice: User, submit: Submit) -> dict[str, str]:
    """One of each of Alice's things, by the name its id has in a route."""
    key, _ = ApiKey.issue(owner_id=alice.pk, name="hers")
    told = Notification.objects.create(owner=alice, kind="batch_completed")
    record = Record.objects.create(owner=alice, content="hers", title="hers")
    topic = Topic.objects.create(owner=alice, name="hers")
    return {
        "batch_id": submit().public_id,
        "file_id": store_file(alice.pk, "a.txt", "text/plain", b"hello").public_id,
        "key_id": str(key.pk),
        "notification_id": str(told.pk),
        "memory_id": record.public_id,
        "topic_id": str(topic.public_id),
    }


def state() -> list[Any]:
    """Everything that a call could have changed."""
    models: list[type[Model]] = [Batch, StoredFile, Notification, Record, Topic]
    rows: list[Any] = [list(model._default_manager.order_by("pk").values()) for model in models]
    return [*rows, list(ApiKey.objects.order_by("pk").values("pk", "revoked_at", "name", "scopes"))]


def call(client: Client, method: str, path: str) -> Any:
    """A body that says nothing, but for memories, whose changes are read before the memory is looked up."""
    send = getattr(client, method)
    body = {"content": "x"} if method in {"put", "patch"} else {}
    return send(path) if method in {"get", "delete"} else send(path, body, content_type="application/json")


def test_the_router_was_read() -> None:
    assert {path for path, _ in ROUTES} >= {"/api/batch", "/api/batch/{batch_id}/viz", "/api/v1/batch", "/api/keys"}
    assert len(NAMED) > 60
    assert "/api/schema" in OPEN


@pytest.mark.parametrize(("path", "method"), WITH_ID)
def test_another_owners_things_do_not_exist(path: str, method: str, ids: dict[str, str], bobs_client: Client) -> None:
    before = state()
    response = call(bobs_client, method, path.format(**ids))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    nothing = call(bobs_client, method, path.format(**dict.fromkeys(ids, "999999999")))
    assert (nothing.status_code, nothing.json()) == (404, response.json()), "the answers would tell them apart"
    assert state() == before


@pytest.mark.parametrize(("path", "method"), WITH_ID)
def test_nor_for_staff(path: str, method: str, ids: dict[str, str], staff: User) -> None:
    before = state()
    client = client_of(staff)
    assert call(client, method, path.format(**ids)).status_code == 404
    assert state()[:-1] == before[:-1]


@pytest.mark.parametrize(("path", "method"), NAMED)
def test_without_a_key_it_is_401(path: str, method: str, ids: dict[str, str], anonymous: Client) -> None:
    before = state()
    for spelling in (path, f"{path}/"):
        response = call(anonymous, method, spelling.format(**ids))
        assert response.status_code == 401
        assert response["Content-Type"] == "application/json"
        assert response["WWW-Authenticate"].startswith("Bearer")
    assert state() == before


@pytest.mark.parametrize(("path", "method", "view"), CALLS)
def test_scopes(path: str, method: str, view: Any, ids: dict[str, str], alice: User) -> None:
    """A read key may read and nothing else; a write key may write and nothing else."""
    reads = method.upper() in SAFE_METHODS or getattr(view, "only_reads", False)
    wrong, right = ("write", "read") if reads else ("read", "write")
    _, secret = ApiKey.issue(owner_id=alice.pk, name="wrong", scopes=[wrong])
    before = state()
    response = call(Client(headers={"Authorization": f"Bearer {secret}"}), method, path.format(**ids))
    assert response.status_code == 403
    assert "scope" in str(response.json())
    assert state() == before
    _, secret = ApiKey.issue(owner_id=alice.pk, name="right", scopes=[right])
    allowed = Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)
    response = call(allowed, method, path.format(**ids))
    assert response.status_code not in {401, 403, 404, 405}
    assert response.status_code < 500


@pytest.mark.parametrize(("path", "method"), NAMED)
def test_no_answer_is_a_page(path: str, method: str, ids: dict[str, str], client: Client) -> None:
    """Also what no view can do: 405 as JSON."""
    for other in METHODS:
        response = call(client, other, path.format(**ids))
        assert not response.get("Content-Type", "").startswith("text/html")


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/batch/x/nothing", "/api/v1/nothing", "/api/%00"]
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_there_is_json_as_well(path: str, method: str, client: Client, anonymous: Client) -> None:
    for each in (client, anonymous):
        response = call(each, method, path)
        assert response.status_code in {404, 405}
        body = response.json()
        if path.startswith("/api/v1/"):  # in the memory service's words
            assert isinstance(body["error"], str)
            assert "success" not in body
        else:
            assert body["success"] is False
