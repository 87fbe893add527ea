"""A signed-in person, and what a browser sends."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client


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
