"""Which failures are tried again, how often, and how much later."""

from __future__ import annotations

import asyncio
import email.message
import http.client
import io
import itertools
import socket
import ssl
import urllib.error
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from batchsite.processing import is_retryable, with_retry
from providers.base import ErrorCategory, ProviderError
from tests.processing.conftest import now, run


class StatusError(Exception):
    """As openai, anthropic and many others raise."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status_code = status
        self.headers = headers or {}


def failing(times: int, error: Callable[[], Exception]) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """A call that fails so often and then works, and when it was made."""
    calls: list[float] = []

    async def call() -> str:
        calls.append(now())
        if len(calls) <= times:
            raise error()
        return "done"

    return call, calls


def waits_of(times: int, error: Callable[[], Exception], **options: Any) -> list[float]:
    call, calls = failing(times, error)
    assert run(with_retry(call, **options)) == "done"
    return [later - earlier for earlier, later in itertools.pairwise(calls)]


def requests_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("no", response=response)


def urllib_error(status: int, **headers: str) -> urllib.error.HTTPError:
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://x.test", status, "no", message, io.BytesIO())


def provider_error(*, permanent: bool, retry_after: float | None = None) -> ProviderError:
    return ProviderError(
        "no",
        category=ErrorCategory.SERVER,
        code="x",
        permanent=permanent,
        surely_not_sent=True,
        retry_after=retry_after,
    )


TRANSIENT: list[Any] = [
    *(StatusError(status) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
    TimeoutError(),
    socket.timeout(),  # noqa: UP041
    ConnectionResetError(),
    http.client.RemoteDisconnected("gone"),
    socket.gaierror(-3, "Temporary failure in name resolution"),
    OSError(113, "No route to host"),
    asyncio.IncompleteReadError(b"", 10),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ServerTimeoutError(),
    requests.ConnectTimeout(),
    requests.ReadTimeout(),
    requests.ConnectionError(),
    requests_error(503),
    urllib_error(429),
    urllib.error.URLError(ConnectionRefusedError()),
    provider_error(permanent=False),
]
PERMANENT: list[Any] = [
    *(StatusError(status) for status in (400, 401, 402, 403, 404, 405, 413, 422, 200, 301)),
    ValueError("a bug"),
    FileNotFoundError(2, "no such file"),
    requests.exceptions.SSLError(),
    ssl.SSLCertVerificationError(),
    requests_error(401),
    requests.exceptions.InvalidURL(),
    urllib_error(404),
    urllib.error.URLError("unknown url type"),
    provider_error(permanent=True),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert is_retryable(error)
    assert len(waits_of(1, lambda: error)) == 1


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_what_cannot_pass_is_raised_at_once(error: Exception) -> None:
    call, calls = failing(9, lambda: error)
    with pytest.raises(type(error)) as raised:
        run(with_retry(call))
    assert raised.value is error
    assert calls == [0.0]


@given(st.integers(0, 6), st.floats(1, 100_000))
def test_each_wait_is_half_certain_and_doubles_up_to_a_minute(retries: int, backoff: float) -> None:
    waits = waits_of(retries, TimeoutError, max_retries=retries, backoff=backoff)
    assert len(waits) == retries
    for number, wait in enumerate(waits):
        full = min(backoff / 1000 * 2**number, max(60.0, backoff / 1000))
        assert full / 2 - 1e-6 <= wait <= full + 1e-6


def test_the_defaults_are_the_documents() -> None:
    call, calls = failing(99, TimeoutError)
    with pytest.raises(TimeoutError):
        run(with_retry(call))
    assert len(calls) == 4
    assert 0.5 <= calls[1] <= 1.0


@pytest.mark.parametrize(
    "error",
    [
        lambda: StatusError(429, {"Retry-After": "90"}),
        lambda: StatusError(503, {"retry-after-ms": "90000"}),
        lambda: urllib_error(429, Retry_After="90"),
        lambda: provider_error(permanent=False, retry_after=90),
    ],
)
def test_retry_after_is_a_minimum(error: Callable[[], Exception]) -> None:
    assert waits_of(1, error) == [90.0]


def test_a_small_retry_after_does_not_shorten_the_backoff() -> None:
    [wait] = waits_of(1, lambda: StatusError(429, {"Retry-After": "0"}), backoff=10_000)
    assert wait >= 5.0


def test_the_caller_may_decide() -> None:
    assert len(waits_of(1, lambda: ValueError("flaky"), retry_if=lambda error: isinstance(error, ValueError))) == 1


def test_cancellation_is_never_retried() -> None:
    call, calls = failing(99, TimeoutError)

    async def scenario() -> None:
        task = asyncio.create_task(with_retry(call, 50))
        await asyncio.sleep(2.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario())
    made = len(calls)
    assert 1 < made < 5


@pytest.mark.parametrize(
    ("retries", "backoff"), [(-1, 1), (1.5, 1), (True, 1), (1, -1), (1, float("nan")), (1, "1"), (1, float("inf"))]
)
def test_numbers_that_mean_nothing_are_refused(retries: Any, backoff: Any) -> None:
    call, calls = failing(0, TimeoutError)
    with pytest.raises(ValueError, match=r"retries|backoff"):
        run(with_retry(call, retries, backoff))
    assert not calls
