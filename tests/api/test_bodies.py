"""Bodies and requests that are none: always JSON, always document 004's shape, never a 500."""

from __future__ import annotations

import io
import json
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import DataError, OperationalError
from django.http import Http404
from django.test import Client, RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.exceptions import Throttled

from batches.api import errors, photos
from batches.api.messages import CreateSmsView
from batches.api.parsers import StrictJSONParser
from batches.models import ApiKey, Batch
from tests.api.conftest import Submit

CREATES = ["/api/batch", "/api/batch/process"]
JSON = "application/json"

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = ["text", "recipients", "options", "images", "shootId", "priority", "scheduleTime", "timeout", "provider"]
bodies = st.dictionaries(st.sampled_from(WORDS), junk, max_size=6)
near_items = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "url", "fileId", "tags", "metadata", "filename", "phoneNumber", "variables"), junk),
)


@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b'"text"',
        b"5",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\u0000"}',
        b'{"a": ["\\ud800"]}',
        b'{"\\u0000": 1}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"images":' + b"[" * 600 + b'"\\u0000"' + b"]" * 600 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"{'a': 1}",
    ],
)
def test_bodies_that_are_refused(client: Client, path: str, body: bytes) -> None:
    response = client.post(path, body, content_type=JSON)
    assert response.status_code == 400
    assert response.json()["success"] is False
    assert response.json()["details"]["errors"]


def test_an_escaped_backslash_is_no_nul(client: Client) -> None:
    body = json.dumps({"text": "a\\u0000b", "recipients": [{"phoneNumber": "+14155552671"}]})
    assert client.post("/api/batch", body, content_type=JSON).status_code == 202


def test_a_bad_text_is_named_by_its_path(client: Client) -> None:
    response = client.post("/api/batch", b'{"a": {"b": ["x", "\\ud800"]}}', content_type=JSON)
    assert response.json()["details"]["errors"][0]["path"] == "a.b.1"


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(bodies | st.fixed_dictionaries({"images": st.lists(near_items, max_size=3), "shootId": st.just("s")}))
@pytest.mark.parametrize("path", CREATES)
def test_junk_is_never_a_500(client: Client, path: str, body: dict[str, Any]) -> None:
    response = client.post(path, json.dumps(body), content_type=JSON, headers={"Idempotency-Key": "k"})
    assert response.status_code in {202, 400, 409}


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(st.lists(near_items, min_size=1, max_size=3), st.text(max_size=10))
def test_junk_recipients_are_never_a_500(client: Client, recipients: list[Any], text: str) -> None:
    body = json.dumps({"text": f"x{text}", "recipients": recipients})
    assert client.post("/api/batch", body, content_type=JSON).status_code in {202, 400}


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(st.binary(max_size=40))
def test_random_bytes_are_never_a_500(client: Client, body: bytes) -> None:
    assert client.post("/api/batch", body, content_type=JSON).status_code == 400


@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"])
def test_other_media_types_are_415(client: Client, path: str, media_type: str) -> None:
    response = client.post(path, b"a=1", content_type=media_type)
    assert response.status_code == 415
    assert response.json()["success"] is False


@pytest.mark.parametrize("path", [*CREATES, "/api/files"])
def test_a_body_over_the_limit_is_413(client: Client, path: str, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.MAX_UPLOAD_BYTES = 10
    media_type = "multipart/form-data; boundary=x" if path == "/api/files" else JSON
    response = client.post(path, b'{"a": "01234567890"}', content_type=media_type)
    assert response.status_code == 413
    assert response.json()["details"]["errors"][0]["code"] == "body_too_large"


def test_a_body_without_announced_length_is_read_to_the_limit(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    stream = io.BytesIO(b'{"a": "01234567890"}')
    with pytest.raises(errors.BodyTooLarge):
        StrictJSONParser().parse(stream)
    assert stream.tell() == 11


def test_a_chunked_body_is_read(alice: User) -> None:
    _, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/batch",
        "query_string": b"",
        "headers": [
            (b"transfer-encoding", b"chunked"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {secret}".encode()),
        ],
    }
    body = io.BytesIO(b'{"text": "Hi", "recipients": [{"phoneNumber": "+14155552671"}]}')
    assert CreateSmsView.as_view()(ASGIRequest(scope, body)).status_code == 202


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense"])
def test_the_answer_is_json_whatever_is_preferred(client: Client, submit: Submit, accept: str) -> None:
    path = f"/api/batch/{submit().public_id}?format=html"
    response = client.get(path, headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/batch/a/b/c/d"])
def test_paths_that_do_not_exist(anonymous: Client, path: str) -> None:
    response = anonymous.get(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    assert response.json()["details"]["errors"][0]["code"] == "not_found"


def test_the_wrong_method_is_405(client: Client) -> None:
    response = client.delete("/api/batch/process")
    assert response.status_code == 405
    assert response.json()["success"] is False


@pytest.mark.parametrize(
    ("exception", "status_code"),
    [
        (DataError("secret"), 400),
        (psycopg.DataError("secret"), 400),
        (SuspiciousOperation("secret"), 400),
        (RecursionError("secret"), 400),
        (PermissionDenied("secret"), 403),
        (Http404("secret"), 404),
        (Throttled(wait=7), 429),
        (OperationalError("secret"), 503),
        (psycopg.OperationalError("secret"), 503),
        (RuntimeError("secret"), 500),
    ],
)
def test_whatever_is_raised_is_answered_and_not_quoted(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    exception: Exception,
    status_code: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise exception

    monkeypatch.setattr(photos.ProcessView, "build", fail)
    response = client.post("/api/batch/process", {"secret": 1}, content_type=JSON)
    assert response.status_code == status_code
    assert "secret" not in response.content.decode()
    assert "secret" not in caplog.text
    assert not Batch.objects.exists()
    if status_code == 429:
        assert response["Retry-After"] == "8"
    if status_code == 500:
        assert response.json() == errors.simple_body("Internal error", "internal")
        assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("path", ["/api/x", "/x"])
def test_handlers_outside_the_views(path: str) -> None:
    request = RequestFactory().get(path)
    answers = [
        (errors.bad_request(request, SuspiciousOperation()), 400),
        (errors.permission_denied(request, PermissionDenied()), 403),
        (errors.not_found(request, Http404()), 404),
        (errors.server_error(request), 500),
    ]
    for response, status_code in answers:
        assert response.status_code == status_code
        assert (response["Content-Type"] == JSON) == (path == "/api/x")


def test_staff_get_no_traceback_either(
    client: Client, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(photos.ProcessView, "build", lambda *_: 1 / 0)
    response = client.post("/api/batch/process", {}, content_type=JSON)
    assert (response.status_code, response["Content-Type"]) == (500, JSON)
