"""Trying again what may work the next time, later and later."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.error import URLError

from batches.backoff import Ladder, equal_jitter
from providers.base import ProviderError
from providers.http import classify, retry_after

Result = TypeVar("Result")

LONGEST_BACKOFF_SECONDS = 60.0
# Faults of the way to the server. Their libraries need not be installed, so they are told by name.
NETWORK_FAULTS = frozenset(
    {
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "anthropic.APIConnectionError",
        "asyncio.exceptions.IncompleteReadError",
        "http.client.IncompleteRead",
        "httpcore.NetworkError",
        "httpcore.RemoteProtocolError",
        "httpcore.TimeoutException",
        "httpx.NetworkError",
        "httpx.RemoteProtocolError",
        "httpx.TimeoutException",
        "openai.APIConnectionError",
        "requests.exceptions.ChunkedEncodingError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "urllib3.exceptions.ProtocolError",
        "urllib3.exceptions.TimeoutError",
    }
)
UNREACHABLE = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})
# Subclasses of those, or of OSError, that another try cannot help.
HOPELESS = frozenset({"requests.exceptions.SSLError", "aiohttp.client_exceptions.ClientConnectorCertificateError"})


async def with_retry(
    fn: Callable[[], Awaitable[Result]],
    max_retries: int = 3,
    backoff: float = 1000,
    *,
    retry_if: Callable[[Exception], bool] | None = None,
) -> Result:
    """Await ``fn()``, and again after a transient failure, at most ``max_retries`` more times.

    ``fn`` is called anew for each try. The wait before retry *n* is ``backoff`` ms x 2^(n-1), at most a minute (or
    ``backoff``, if larger), half of it random; a server's Retry-After is a minimum, however long. What counts as
    transient is :func:`is_retryable` unless ``retry_if`` decides. Raises the last failure as it came.
    """
    check_retries(max_retries, backoff)
    decide = retry_if or is_retryable
    first = backoff / 1000
    ladder = Ladder(first, max(first, LONGEST_BACKOFF_SECONDS))
    attempt = 1
    while True:
        try:
            return await fn()
        except Exception as error:
            if attempt > max_retries or not decide(error):
                raise
            delay = max(equal_jitter(ladder.rung(attempt)), seconds_asked_for(error) or 0.0)
        await asyncio.sleep(delay)
        attempt += 1


def is_retryable(error: BaseException) -> bool:
    """Whether a failure may pass by itself: timeouts, lost connections, 408, 409, 425, 429 and every 5xx.

    Never: any other status of 4xx (400, 401, 403, 404, ...), and everything that is no failure of a call. The status
    is looked for where HTTP libraries keep it: ``status_code``, ``status``, ``code``, or the same on ``response``.
    """
    if isinstance(error, ProviderError):
        return not error.permanent
    status = _status(error)
    if status is not None:
        return status >= 400 and not classify(status).permanent
    return _is_network_fault(error)


def seconds_asked_for(error: BaseException) -> float | None:
    """What the server's Retry-After says, in seconds; None where it says nothing."""
    if isinstance(error, ProviderError):
        return error.retry_after
    headers: Any = getattr(error, "headers", None) or getattr(getattr(error, "response", None), "headers", None)
    if not hasattr(headers, "items"):  # email.message.Message is no Mapping
        return None
    return retry_after({str(name).lower(): str(value) for name, value in headers.items()}, time.time())


def check_retries(retries: Any, backoff: Any) -> None:
    """Raise ValueError for numbers that mean nothing here."""
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise ValueError("the number of retries must be a whole number of at least 0")
    if not isinstance(backoff, int | float) or isinstance(backoff, bool) or not 0 <= backoff < float("inf"):
        raise ValueError("backoff must be a number of milliseconds of at least 0")


def _status(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 100 <= value <= 599:
                return int(value)
    return None


def _is_network_fault(error: BaseException) -> bool:
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return _is_network_fault(error.reason)
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & HOPELESS:
        return False
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return True
    return isinstance(error, TimeoutError | ConnectionError | socket.gaierror) or bool(names & NETWORK_FAULTS)
