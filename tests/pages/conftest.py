"""Alice and Ada, signed in; Bob, who owns something else; what a page says beside a field."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    """Files go to a folder of the test."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return Path(settings.MEDIA_ROOT)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", password="correct horse")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="correct horse")


@pytest.fixture
def person(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def told() -> Callable[[str, str], str]:
    """What a page says beside a field."""

    def problem(page: str, name: str) -> str:
        found = re.search(rf'id="problem-{name}"[^>]*>(.*?)</span>', page, re.DOTALL)
        assert found, f"the page has no place for what is wrong with {name}"
        return html.unescape(found[1].strip())

    return problem
