"""The client of one provider: one request, one answer, every failure classified."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import httptools

from providers.base import ErrorCategory, ProviderError
from providers.departure import depart
from providers.http.answers import Answer, Response, TooLarge, read_json
from providers.http.ceilings import Told
from providers.http.connections import is_quiet, origin
from providers.http.verdicts import Refine, classify, retry_after

Body = bytes | Iterable[bytes]
"""What is sent after the head: at once, or piece by piece."""
CONNECT_SECONDS = 10.0
# TLS waits so long for each of its records: without this a reader slow enough could stretch a deadline many times.
MOST_SECONDS_A_PIECE = 60.0
CHUNK = 65536


class HttpClient:
    """Calls one provider.

    ``fresh``: a new connection for each call, for providers without idempotency, because on a kept connection
    that the server just closed nobody can tell whether the request arrived. ``told`` hears the headers of its answers.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str],
        refine: Refine | None = None,
        fresh: bool = False,
        told: Told | None = None,
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"{base_url!r} is not an http(s) URL")
        self.name = name
        self._refine = refine
        self._told = told
        self._origin = origin(address.scheme == "https", address.hostname, address.port)
        self._prefix = address.path.rstrip("/")
        self._fresh = fresh
        fixed = {"Host": address.netloc.rpartition("@")[2], "Accept": "application/json", "User-Agent": "batchsite"}
        if fresh:
            fixed["Connection"] = "close"
        self._fixed_headers = _header_lines({**fixed, **headers})

    def post(self, path: str, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float) -> Response:
        """POST and return a 2xx answer, its JSON parsed. Raises :class:`ProviderError` for everything else."""
        head = self._head("POST", path, headers, len(body))
        response = self._exchange(head, body, time.monotonic() + timeout_seconds)
        if self._told is not None:
            self._told.hear(response.status, response.headers)
        return self._read(response)

    def _head(self, method: str, path: str, headers: Mapping[str, str], size: int) -> bytes:
        return (
            f"{method} {self._prefix}{path} HTTP/1.1\r\n".encode()
            + self._fixed_headers
            + _header_lines(headers)
            + b"Content-Length: %d\r\n\r\n" % size
        )

    def _read(self, response: Response) -> Response:
        well_formed = True
        try:
            response.parsed = read_json(response.body)
        except (ValueError, RecursionError):
            well_formed = False
        if not 200 <= response.status < 300:
            raise self.failure(response)
        if not well_formed:
            raise self.invalid_response(response, "a body that is not JSON")
        return response

    def invalid_response(self, response: Response, what: str) -> ProviderError:
        """The error for a 2xx answer that cannot be used: it may have had its effect."""
        return ProviderError(
            f"{self.name} answered {response.status} with {what}",
            category=ErrorCategory.SERVER,
            code="invalid_response",
            permanent=False,
            surely_not_sent=False,
            status=response.status,
            request_id=response.request_id,
        )

    def _exchange(self, head: bytes, body: Body, deadline: float) -> Response:
        connection = None if self._fresh else self._origin.idle_connection()
        if connection is None:
            connection = self._connect(deadline)
        try:
            deadline += self._await_departure(connection)
            response, reusable = _converse(connection, head, body, deadline)
        except BaseException as fault:
            # BaseException: gevent's timeouts and kills, too, leave an answer behind that nobody may read.
            connection.close()
            if (named := self._named(fault)) is fault:
                raise
            raise named from None
        if reusable and not self._fresh:
            self._origin.keep(connection)
        else:
            connection.close()
        return response

    def _await_departure(self, connection: socket.socket) -> float:
        """Returns the seconds that it took; they are not the provider's. The first byte follows at once."""
        began = time.monotonic()
        if not depart():
            return 0.0
        if not is_quiet(connection):
            raise self._not_reached("hung up before the call could leave")
        return time.monotonic() - began

    def _connect(self, deadline: float) -> socket.socket:
        try:
            return self._origin.connect(max(0.001, min(CONNECT_SECONDS, deadline - time.monotonic())))
        except (OSError, UnicodeError) as fault:  # UnicodeError: a host name that is none
            reason = getattr(fault, "strerror", None) or type(fault).__name__
            raise self._not_reached(f"could not be reached: {reason}") from None

    def _not_reached(self, what: str) -> ProviderError:
        return ProviderError(
            f"{self.name} {what}",
            category=ErrorCategory.NETWORK,
            code="connection_failed",
            permanent=False,
            surely_not_sent=True,
        )

    def _named(self, fault: BaseException) -> BaseException:
        """The error that a fault on an open connection stands for; what is no fault of the provider's stays itself."""
        if isinstance(fault, TimeoutError):
            return self._lost(ErrorCategory.TIMEOUT, "timeout", "did not answer in time")
        if isinstance(fault, TooLarge):
            return self._lost(ErrorCategory.SERVER, "response_too_large", "sent too large an answer")
        if isinstance(fault, OSError):
            return self._lost(ErrorCategory.NETWORK, "connection_lost", "cut the connection")
        if isinstance(fault, httptools.HttpParserError | httptools.HttpParserUpgrade):
            return self._lost(ErrorCategory.SERVER, "invalid_response", "did not answer in HTTP")
        return fault

    def _lost(self, category: ErrorCategory, code: str, what: str) -> ProviderError:
        return ProviderError(
            f"{self.name} {what}", category=category, code=code, permanent=False, surely_not_sent=False
        )

    def failure(self, response: Response) -> ProviderError:
        """The error that an answer outside 2xx stands for."""
        verdict = classify(response.status)
        if self._refine is not None:
            verdict = self._refine(response.status, response.parsed, verdict)
        words = verdict.words or verdict.code
        asked = retry_after(response.headers, time.time())
        return ProviderError(
            f"{self.name} answered {response.status}: {words}",
            category=verdict.category,
            code=verdict.code,
            permanent=verdict.permanent,
            surely_not_sent=verdict.surely_not_sent,
            retry_after=verdict.retry_after if asked is None else asked,
            status=response.status,
            request_id=response.request_id,
            of_provider=verdict.of_provider,
        )


def _converse(connection: socket.socket, head: bytes, body: Body, deadline: float) -> tuple[Response, bool]:
    """Send one request and read its answer; also tells whether the connection can be used again."""
    connection.settimeout(_remaining(deadline))
    # Whoever refuses a request early hangs up before reading it all, and its answer may be waiting.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if isinstance(body, bytes):
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            for piece in body:
                connection.settimeout(min(MOST_SECONDS_A_PIECE, _remaining(deadline)))
                connection.sendall(piece)
    answer = Answer()
    while not answer.complete:
        connection.settimeout(_remaining(deadline))
        data = connection.recv(CHUNK)
        if data:
            answer.feed(data)
        elif answer.ends_with_connection:
            return answer.response(), False
        else:
            raise ConnectionError("closed before the answer was complete")
    return answer.response(), answer.reusable


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _header_lines(headers: Mapping[str, str]) -> bytes:
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"the header {name} must not hold a line break")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")
