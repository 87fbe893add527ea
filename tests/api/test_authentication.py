"""Keys and sessions."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from batches.api.authentication import find_key
from batches.models import ApiKey
from tests.api.conftest import Submit


def status_with(header: str) -> int:
    return int(Client(headers={"Authorization": header}).get("/api/batch/none").status_code)


def test_a_key_opens(alice: User) -> None:
    _, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    assert status_with(f"Bearer {secret}") == 404
    assert status_with(f"bearer  {secret}") == 404


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer wrong", "Bearer \xe9\x00", "Basic YTpi", "nonsense", ""]
)
def test_anything_else_does_not(db: None, header: str) -> None:
    assert status_with(header) == 401


def test_a_revoked_key_does_not(alice: User) -> None:
    key, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert status_with(f"Bearer {secret}") == 401


def test_the_key_of_an_inactive_user_does_not(alice: User) -> None:
    _, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert status_with(f"Bearer {secret}") == 401


def test_its_use_is_noted_once_a_minute(alice: User) -> None:
    key, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    find_key(secret)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    find_key(secret)
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=first - timedelta(minutes=2))
    find_key(secret)
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at > first - timedelta(minutes=1)


def test_the_secret_itself_is_not_stored(alice: User) -> None:
    key, secret = ApiKey.issue(owner_id=alice.pk, name="x")
    assert secret not in str(vars(key))
    assert key.prefix == secret[:8]


def test_a_session_reads(alice: User, submit: Submit) -> None:
    browser = Client()
    browser.force_login(alice)
    assert browser.get(f"/api/batch/{submit().public_id}").status_code == 200


def test_a_session_writes_with_its_csrf_token_only(alice: User, submit: Submit) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    batch = submit()
    refused = browser.post(f"/api/batch/{batch.public_id}/pause")
    assert refused.status_code == 403
    assert refused.json()["success"] is False
    browser.cookies["csrftoken"] = "a" * 32
    token = {"X-CSRFToken": "a" * 32}
    allowed = browser.post(f"/api/batch/{batch.public_id}/pause", content_type="application/json", headers=token)
    assert allowed.status_code == 200


def test_the_command_prints_the_secret_once(alice: User) -> None:
    output = io.StringIO()
    call_command("create_api_key", "alice", "--name", "script", stdout=output)
    key = find_key(output.getvalue().strip())
    assert key is not None
    assert (key.owner, key.name) == (alice, "script")


def test_the_command_refuses_strangers_and_long_names(alice: User) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", "nobody")
    with pytest.raises(CommandError):
        call_command("create_api_key", "alice", "--name", "x" * 101)
