"""A line for each request: what was asked by whom, never the address."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from batches.models import ApiKey
from tests.live.conftest import make_batch


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "batches.requests")
    return caplog


def facts(lines: pytest.LogCaptureFixture) -> dict[str, Any]:
    (record,) = [record for record in lines.records if record.name == "batches.requests"]
    names = ("request", "method", "view", "owner", "batch", "status", "message")
    return {name: record.__dict__[name] for name in names if name in record.__dict__}


@pytest.mark.django_db
def test_who_came_with_a_key_is_named(lines: pytest.LogCaptureFixture, client: Client) -> None:
    user = User.objects.create_user("anna")
    batch = make_batch(user)
    _, secret = ApiKey.issue(owner_id=user.pk, name="k")
    address = f"/api/batch/{batch.public_id}?note=telling"
    answer = client.get(address, headers={"Authorization": f"Bearer {secret}"})
    told = facts(lines)
    assert told.pop("request") == answer.headers["X-Request-Id"]
    assert told.pop("message").startswith("GET api-batch answered 200 in ")
    assert told == {"method": "GET", "view": "api-batch", "owner": user.pk, "batch": batch.public_id, "status": 200}


@pytest.mark.django_db
def test_who_signed_in_is_named(lines: pytest.LogCaptureFixture, client: Client) -> None:
    user = User.objects.create_user("anna")
    client.force_login(user)
    client.get("/")
    assert facts(lines)["owner"] == user.pk


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/+14155550123", "/api/files/+14155550123", "/api/batch/14155550123"])
def test_an_address_is_not_told(lines: pytest.LogCaptureFixture, client: Client, path: str) -> None:
    assert client.get(path, {"q": "14155550123"}).status_code in {401, 404}
    assert "owner" not in facts(lines)
    assert "4155550123" not in lines.text


@pytest.mark.django_db
def test_machines_are_not_told(lines: pytest.LogCaptureFixture, client: Client) -> None:
    assert client.get("/healthz").headers["X-Request-Id"]
    assert not lines.records


@pytest.mark.django_db(transaction=True)
async def test_as_in_the_web_server(lines: pytest.LogCaptureFixture, async_client: AsyncClient) -> None:
    answer = await async_client.get("/api/batch/history")
    told = facts(lines)
    assert (told["view"], told["status"]) == ("api-batch-history", 401)
    assert told["request"] == answer.headers["X-Request-Id"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("behind_proxy", "given", "kept"),
    [
        (True, "0123456789abcdef0123456789abcdef", True),
        (True, "01234567-89ab-cdef-0123-456789abcdef", True),
        (True, "14155550123", False),
        (False, "0123456789abcdef0123456789abcdef", False),
    ],
)
def test_the_id_of_a_proxy_is_kept(client: Client, settings: Any, behind_proxy: bool, given: str, kept: bool) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    answer = client.get("/healthz", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is kept


@pytest.mark.django_db
def test_an_odd_method_is_not_quoted(lines: pytest.LogCaptureFixture, client: Client) -> None:
    client.generic("TELLING", "/api/batch/history")
    assert facts(lines)["method"] == "other"
