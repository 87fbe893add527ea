"""The demo user and key of bin/up."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import ApiKey
from tests.commands.conftest import Manage

KEY = "bsk_demo_0123456789"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_API_KEY", KEY)
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)


def state() -> list[Any]:
    return [*User.objects.values_list(), *ApiKey.objects.values_list()]


def test_it_creates_a_user_who_may_open_the_admin(manage: Manage) -> None:
    run = manage("create_demo")
    assert run.code == 0
    assert KEY not in run.output
    user = User.objects.get(username="demo")
    assert user.is_staff
    assert user.is_superuser
    assert user.check_password(KEY)
    assert ApiKey.objects.get().digest == ApiKey.digest_of(KEY)


def test_a_second_run_changes_nothing(manage: Manage) -> None:
    manage("create_demo")
    before = state()
    manage("create_demo")
    assert state() == before


def test_a_password_changed_by_hand_stays(manage: Manage) -> None:
    manage("create_demo")
    user = User.objects.get()
    user.set_password("my own words")
    user.save()
    manage("create_demo")
    assert User.objects.get().check_password("my own words")


def test_it_takes_a_password(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    manage("create_demo")
    monkeypatch.setenv("DEMO_PASSWORD", "let me in please")
    assert "password is DEMO_PASSWORD" in manage("create_demo").output
    assert User.objects.get().check_password("let me in please")


def test_another_key_revokes_the_older_ones(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    manage("create_demo")
    own, _ = ApiKey.issue(owner_id=User.objects.get().pk, name="laptop")
    monkeypatch.setenv("DEMO_API_KEY", "bsk_demo_another_key")
    manage("create_demo")
    usable = ApiKey.objects.filter(revoked_at=None)
    assert set(usable.values_list("digest", flat=True)) == {ApiKey.digest_of("bsk_demo_another_key"), own.digest}
    monkeypatch.setenv("DEMO_API_KEY", KEY)
    manage("create_demo")
    assert ApiKey.objects.get(digest=ApiKey.digest_of(KEY)).revoked_at is None


@pytest.mark.parametrize("key", ["", "tab\there", "with a space in it all"])
def test_it_refuses_a_key_that_is_none(manage: Manage, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("DEMO_API_KEY", key)
    run = manage("create_demo")
    assert run.code == 1
    assert "DEMO_API_KEY" in run.output
    assert not User.objects.exists()


def test_it_refuses_the_key_of_somebody_else(manage: Manage) -> None:
    bob = User.objects.create_user("bob")
    ApiKey.issue(owner_id=bob.pk, name="laptop", secret=KEY)
    assert "another user" in manage("create_demo").output
    assert not User.objects.filter(username="demo").exists()


def test_it_refuses_production(manage: Manage, settings: Any) -> None:
    settings.PRODUCTION = True
    assert manage("create_demo").code == 1
    assert not User.objects.exists()
