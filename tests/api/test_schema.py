"""The OpenAPI schema: it describes every route, and the API answers as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.validation import validate_schema
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from batches.api import schema as schema_module
from batches.api import throttling
from batches.api.documentation import DESCRIPTIONS
from batches.api.documentation.descriptions import plain
from batches.api.documentation.memories import MEMORY_DESCRIPTIONS
from batches.api.urls import urlpatterns
from batches.files import store_file
from batches.models import ApiKey, Notification
from records.api.urls import urlpatterns as memory_patterns
from records.models import Record, Topic
from tests.api.conftest import Submit

EXAMPLES = 5
"""Requests per operation of the API: a budget of time, the same ones each run."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT: dict[str, Any] = json.loads(json.dumps(schema_module.schema()))


def closed(schema: Any) -> Any:
    """The same, without room for names that it does not know."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {name: closed(value) for name, value in schema.items()}
    return {"additionalProperties": False, **inside} if "properties" in schema else inside


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """Clients have to expect further names in an answer; we say all of them."""
    changed: dict[str, Any] = json.loads(json.dumps(document))
    for operations in changed["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    content["schema"] = closed(content["schema"])
    return changed


STRICT = strict(DOCUMENT)
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return DOCUMENT


# --- The document


def test_it_is_served_to_everybody_as_json(anonymous: Client, document: dict[str, Any]) -> None:
    for path in ("/api/schema", "/api/schema/"):
        response = anonymous.get(path)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert response.json() == document
    assert document["openapi"] == "3.1.0"


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate_schema(document)  # type: ignore[no-untyped-call]


def test_every_route_is_described(document: dict[str, Any]) -> None:
    """By method: what a view can do is in the document, and nothing else is."""
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    found = set()
    below = [("/api/", pattern) for pattern in urlpatterns] + [("/api/v1/", pattern) for pattern in memory_patterns]
    for prefix, pattern in below:
        path = prefix + str(pattern.pattern).removeprefix("^").replace(r"/?\Z", "")
        for name in ("batch_id", "file_id", "key_id", "notification_id", "alias", "memory_id", "topic_id"):
            path = path.replace(f"(?P<{name}>[A-Za-z0-9_-]{{1,64}})", f"{{{name}}}")
        view = getattr(pattern.callback, "cls", None)
        found |= {(path, method) for method in METHODS if hasattr(view, method)}
    found.discard(("/api/schema", "get"))
    assert found - described == set(), "describe these in batches/api/documentation"
    names = {f"{method.upper()} {path}" for path, method in described}
    assert names == DESCRIPTIONS.keys() | MEMORY_DESCRIPTIONS.keys()


def test_every_operation_says_what_may_go_wrong(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = operation["responses"].keys()
            needs_key = {"401"} if operation["security"] else set()
            assert needs_key | {"403", "503"} <= statuses, (path, method)
            assert "404" in statuses or "{" not in path, (path, method)
            assert operation["summary"], (path, method)
            names = [operation["operationId"] for each in document["paths"].values() for operation in each.values()]
    assert len(names) == len(set(names))


def test_a_delete_has_its_body(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/batch/cleanup"]["delete"]["requestBody"]
    assert body["content"]["application/json"]["example"] == {"daysToKeep": 60}


ALL = DESCRIPTIONS | MEMORY_DESCRIPTIONS


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if one.body_example])
def test_the_examples_of_bodies_are_as_the_schema_says(name: str) -> None:
    import jsonschema

    description = ALL[name]
    assert description.body is not None
    jsonschema.validate(plain(description.body_example), description.body)


# --- The page


def test_the_page_is_made_of_our_own_files(anonymous: Client) -> None:
    response = anonymous.get("/docs")
    assert response.status_code == 200
    assert response["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    page = response.content.decode()
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png"):
        assert f"/static/drf_spectacular_sidecar/swagger-ui-dist/{asset}" in page
        assert Path(str(finders.find(f"drf_spectacular_sidecar/swagger-ui-dist/{asset}"))).is_file()
    script = anonymous.get("/docs?script=")
    assert "/api/schema" in script.content.decode()


# --- The API against the document


@pytest.fixture
def app() -> Iterator[Any]:
    """The whole of Django in this thread, so that its requests see the test's rows."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield get_wsgi_application()
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def ids(alice: User, submit: Submit) -> dict[str, str]:
    """Things of Alice's that an id may name."""
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    told = Notification.objects.create(owner=alice, kind="batch_completed")
    key, _ = ApiKey.issue(owner_id=alice.pk, name="another")
    topic = Topic.objects.create(owner=alice, name="Work")
    memory = Record.objects.create(owner=alice, content="User authentication", topic=topic)
    return {
        "batch_id": submit().public_id,
        "file_id": stored.public_id,
        "notification_id": str(told.pk),
        "key_id": str(key.pk),
        "memory_id": memory.public_id,
        "topic_id": str(topic.public_id),
    }


@pytest.fixture
def unthrottled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "seconds_to_wait", lambda *_: 0.0)


TWIN = "/api/v1/memories"
"""The same views as ``/api/v1/memory``."""
OPERATIONS = [
    (path, method.upper())
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if not path.startswith(TWIN)
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.usefixtures("unthrottled")
def test_no_request_gets_an_answer_that_is_not_described(  # noqa: PLR0917
    path: str, method: str, mode: GenerationMode, app: Any, alice: User, ids: dict[str, str]
) -> None:
    """Well and badly formed ones: no 5xx, no undocumented status, JSON wherever JSON was said."""
    loaded = schemathesis.openapi.from_dict(STRICT)
    loaded.app = app
    _, secret = ApiKey.issue(owner_id=alice.pk, name="fuzz")
    try:
        cases = loaded[path][method].as_strategy(generation_mode=mode)
        asked = ask(cases, ids, secret)
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE  # there is nothing to get wrong
        return
    assert asked


def ask(cases: Any, ids: dict[str, str], secret: str) -> int:
    """So many requests out of the strategy, the same ones each time; returns how many there were."""
    asked = 0

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(cases)
    def each(case: Any) -> None:
        nonlocal asked
        for name in case.path_parameters or {}:
            if name in ids and asked % 2 == 0:
                case.path_parameters[name] = ids[name]
        asked += 1
        response = case.call(headers={"Authorization": f"Bearer {secret}"})
        case.validate_response(response, checks=CHECKS)

    each()
    return asked
