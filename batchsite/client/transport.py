"""One request to the API: sent, waited for, sent again where that cannot do harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from batches.backoff import Ladder, equal_jitter
from batchsite.client.errors import BatchClientError, ConnectionFailed, RateLimited, ServerFailed, error_of_answer
from providers.http import retry_after

CONNECT_SECONDS = 10.0
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
LADDER = Ladder(first=0.5, last=30.0)
MAYBE_PASSING = frozenset({408, 425, 500, 502, 503, 504})
NOT_DONE = frozenset({429, 503})
"""With these the server says that it did nothing."""


class NotReached(ConnectionFailed):
    """Not a byte was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """``repeatable``: doing it twice is the same as doing it once, because it reads or carries an Idempotency-Key.
    ``files`` makes the form anew for each try: what was sent half is rewound."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    content: Any = None
    headers: Mapping[str, str] | None = None
    files: Callable[[], list[tuple[str, Any]]] | None = None
    repeatable: bool = True


class Transport:
    """The connection pool of a client, with its patience."""

    def __init__(
        self, *, api_key: str, base_url: str, timeout_seconds: float, max_retries: int, patience_seconds: float
    ) -> None:
        self._max_retries = max_retries
        self._patience_seconds = patience_seconds
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers={
                "Authorization": f"Bearer {api_key}",
                "Accept": "application/json",
                "User-Agent": "batchsite-client",
            },
            timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def json(self, request: ApiRequest) -> Any:
        """The parsed answer. Raises :class:`BatchClientError`."""
        response = self._sent(request, stream=False)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise ServerFailed("The answer is not JSON: is base_url this API?", status=response.status_code) from None

    def chunks(self, request: ApiRequest) -> Iterator[bytes]:
        """The answer's body, piece by piece."""
        response = self._sent(request, stream=True)
        try:
            yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise ConnectionFailed(f"The connection was lost: {_words(error)}") from error
        finally:
            response.close()

    def _sent(self, request: ApiRequest, *, stream: bool) -> httpx.Response:
        """Waiting for a rate limit is no failure: it spends patience, not retries."""
        failures = 0
        patience = self._patience_seconds
        while True:
            try:
                return self._try(request, stream)
            except BatchClientError as error:
                told = error.retry_after or 0.0
                limited = isinstance(error, RateLimited) and told > 0
                failures += not limited
                delay = told if limited else max(told, equal_jitter(LADDER.rung(failures)))
                patience -= delay
                if not _may_repeat(request, error) or failures > self._max_retries or patience < 0:
                    raise
            time.sleep(delay)

    def _try(self, request: ApiRequest, stream: bool) -> httpx.Response:
        try:
            response = self._http.send(self._built(request), stream=stream)
        except NEVER_SENT as error:
            raise NotReached(f"The server cannot be reached: {_words(error)}") from error
        except httpx.TransportError as error:
            raise ConnectionFailed(f"The connection was lost: {_words(error)}") from error
        if response.is_success:
            return response
        if stream:
            response.read()
            response.close()
        raise error_of_answer(response.status_code, _body(response), retry_after(response.headers, time.time()))

    def _built(self, request: ApiRequest) -> httpx.Request:
        return self._http.build_request(
            request.method,
            request.path,
            params={name: value for name, value in (request.params or {}).items() if value is not None},
            json=request.content,
            headers=request.headers,
            files=request.files() if request.files else None,
        )


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _may_repeat(request: ApiRequest, error: BatchClientError) -> bool:
    if isinstance(error, NotReached) or error.status in NOT_DONE:
        return True
    return request.repeatable and (isinstance(error, ConnectionFailed) or error.status in MAYBE_PASSING)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
