"""Connections that nobody wants any more are closed when their time is over."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from providers.http import connections
from providers.http.connections import Origin, close_idle_connections


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_only_those_whose_time_is_over_are_closed(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(connections, "_origins", [])
    connections.origin.cache_clear()
    host, port = listener.getsockname()
    origin: Origin = connections.origin(False, host, port)
    kept = []
    with contextlib.ExitStack() as opened:
        for at in (1000.0, 1001.0, 1020.0):
            now = at
            kept.append(opened.enter_context(origin.connect(5)))
            origin.keep(kept[-1])

        now = 1029.0
        close_idle_connections()
        assert [each.fileno() >= 0 for each in kept] == [True, True, True]
        now = 1031.5
        close_idle_connections()
        assert [each.fileno() >= 0 for each in kept] == [False, False, True]
        assert origin.idle_connection() is kept[2]
        close_idle_connections()
    connections.origin.cache_clear()
