"""Servers and adapters that the tests of this folder share."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.providers.raw_answers import Answering, RawServer
from tests.providers.recorded import Recorded, recorded


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    """Starts a server that does to each connection, in a thread, whatever the test says; returns its URL."""
    listeners: list[socket.socket] = []

    def start(answer: Answering) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_answer, args=(answer, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


def _answer(answer: Answering, connection: socket.socket) -> None:
    with connection:
        try:
            answer(connection)
        except OSError:
            return


@pytest.fixture
def server() -> Iterator[Recorded]:
    """A provider that answers what the test writes down."""
    with recorded() as answers:
        yield answers
