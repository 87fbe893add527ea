"""The moment between a connection and its first byte: what is asked there, and what a refusal leaves behind."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from providers.base import ErrorCategory, ProviderError
from providers.departure import depart, departing
from providers.http import HttpClient
from tests.providers.raw_answers import RawServer
from tests.providers.test_contract import CASES, Case
from tests.sandbox_fixture import SandboxServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Witness:
    """A server that knows when each connection came and what was the first to be read from it, and when."""

    def __init__(self) -> None:
        self.connected: list[float] = []
        self.read: list[tuple[float, bytes]] = []
        self.hangs_up = False
        self.hung_up = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.connected.append(time.monotonic())
        if self.hangs_up:
            connection.close()
            self.hung_up.set()
            return
        while True:
            data = connection.recv(65536)
            self.read.append((time.monotonic(), data))
            if not data:
                return
            connection.sendall(ANSWER)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture(params=["fresh", "kept"])
def client(request: pytest.FixtureRequest, raw_server: RawServer, witness: Witness) -> HttpClient:
    return HttpClient("acme", raw_server(witness), headers={}, fresh=request.param == "fresh")


def post(client: HttpClient, timeout_seconds: float = 5.0) -> Any:
    return client.post("/do", b"{}", headers={}, timeout_seconds=timeout_seconds)


class NotNow(BaseException):
    """What the engine says."""


def test_the_connection_is_made_before_the_departure_and_the_first_byte_leaves_after_it(
    client: HttpClient, witness: Witness
) -> None:
    instants: list[float] = []

    def wait() -> None:
        instants.append(time.monotonic())
        time.sleep(0.3)
        instants.append(time.monotonic())

    with departing(wait):
        post(client)
    began, ended = instants
    assert witness.connected[0] == pytest.approx(began, abs=0.1)
    assert ended <= witness.read[0][0] < ended + 0.1


def test_a_departure_that_is_refused_sends_nothing_and_hangs_up(client: HttpClient, witness: Witness) -> None:
    def refuse() -> None:
        raise NotNow

    with departing(refuse), pytest.raises(NotNow):
        post(client)
    deadline = time.monotonic() + 5
    while not witness.read and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [data for _, data in witness.read] == [b""]


def test_the_wait_is_not_the_providers_time(client: HttpClient) -> None:
    with departing(lambda: time.sleep(0.5)):
        assert post(client, timeout_seconds=0.3).parsed == {}


def test_only_the_first_request_awaits_the_departure(client: HttpClient) -> None:
    asked: list[int] = []
    with departing(lambda: asked.append(1)):
        post(client)
        post(client)
    assert asked == [1]
    post(client)
    assert asked == [1]


def test_a_server_that_hung_up_meanwhile_surely_got_nothing(client: HttpClient, witness: Witness) -> None:
    witness.hangs_up = True

    def wait() -> None:
        assert witness.hung_up.wait(5)
        time.sleep(0.05)

    with departing(wait), pytest.raises(ProviderError) as caught:
        post(client)
    error = caught.value
    assert (error.category, error.code, error.surely_not_sent) == (ErrorCategory.NETWORK, "connection_failed", True)


def test_a_connection_that_cannot_be_made_asks_for_no_departure() -> None:
    asked: list[int] = []
    client = HttpClient("acme", "http://127.0.0.1:1", headers={})
    with departing(lambda: asked.append(1)), pytest.raises(ProviderError):
        post(client)
    assert not asked


def test_no_departure_is_left_behind_and_none_is_seen_by_other_threads() -> None:
    assert not depart()
    seen: list[bool] = []
    with departing(lambda: None):
        thread = threading.Thread(target=lambda: seen.append(depart()))
        thread.start()
        thread.join()
        assert seen == [False]
        assert depart()
        assert not depart()
    assert not depart()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_adapter_that_says_so_departs_before_its_first_byte(case: Case, sandbox: SandboxServer) -> None:
    provider = case.make(sandbox.url)
    assert provider.departs
    logged: list[int] = []

    def wait() -> None:
        time.sleep(0.05)
        logged.append(len(sandbox.log()))

    with departing(wait):
        case.call(provider, 5)
    assert logged == [0]
    assert len(sandbox.log()) == 1
