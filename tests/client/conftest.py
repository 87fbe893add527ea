"""A client that does not really wait, so that what it would have waited can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from batchsite.client import BatchClient
from tests.client.scripted import ScriptedServer

Serve = Callable[..., tuple[BatchClient, ScriptedServer]]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds the client wanted to sleep between its tries."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


@pytest.fixture
def serve(waits: list[float]) -> Iterator[Serve]:
    """A server with this script, and a client of it."""
    with ExitStack() as stack:

        def start(*script: Any, **options: Any) -> tuple[BatchClient, ScriptedServer]:
            server = stack.enter_context(ScriptedServer(*script))
            return stack.enter_context(BatchClient("secret", server.url, **options)), server

        yield start
