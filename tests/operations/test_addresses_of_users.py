"""The addresses that users give are passed on to the provider; the system itself never goes there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.money.estimating.bodies import estimate_of
from batches.operations.photos.rate_photos import RatePhotos, build_photo_batch
from batches.outcomes import Succeeded
from providers.ai.batches.adapter import BatchAdapter
from providers.registry import get_provider
from tests.operations.conftest import attempt_of
from tests.sandbox_fixture import SandboxServer

ALIASES = ("openai-gpt-5", "anthropic-haiku", "gemini-flash", "grok", "groq-qwen")


@pytest.fixture
def inner_service() -> Iterator[socket.socket]:
    """Something on this machine that nobody outside may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(autouse=True)
def no_keys(sandbox: SandboxServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in settings.PROVIDERS.values():
        monkeypatch.delenv(entry["key_variable"], raising=False)
    settings.SANDBOX_URL = sandbox.url


@pytest.mark.parametrize("alias", ALIASES)
def test_nobody_here_visits_the_address_of_a_photo(
    alias: str, owner: User, sandbox: SandboxServer, inner_service: socket.socket
) -> None:
    """Whatever stands behind it, in whatever spelling."""
    port = inner_service.getsockname()[1]
    hosts = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0")
    images = [{"id": host, "url": f"http://{host}:{port}/a.jpg"} for host in hosts]
    body = {"shootId": "s", "providerId": alias, "images": images}
    assert estimate_of(owner.pk, body).items == len(hosts)
    new = build_photo_batch(owner.pk, body)
    provider = get_provider(alias)
    for item in new.items:
        outcome = RatePhotos().run(attempt_of(provider, item.input, new.parameters, owner.pk))
        assert isinstance(outcome, Succeeded)
    assert isinstance(provider, BatchAdapter)
    assert [entry["image"] for entry in sandbox.log()] == [image["url"] for image in images], "passed on as they stand"
    with pytest.raises(BlockingIOError):  # nobody waits to be let in
        inner_service.accept()
