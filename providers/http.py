"""The one HTTP door: every call to a provider goes through here, and every failure is classified here.

Plain sockets and httptools' C parser instead of urllib3: a call costs a third of the CPU, one deadline covers the
whole of it, however slowly the answer trickles in, and it is certain whether a failure came before the first byte
was sent. Works in threads and under gevent, with thousands of calls in flight.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httptools

from providers.base import ErrorCategory, ProviderError

LARGEST_ANSWER = 16 * 1024 * 1024
CONNECT_SECONDS = 10.0
MOST_IDLE_CONNECTIONS = 4000
# Below the idle timeout of every load balancer we know of, so that we hang up first.
IDLE_SECONDS = 30.0
CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed answer means; a provider's own error code may refine what its status says."""

    category: ErrorCategory
    code: str
    permanent: bool
    surely_not_sent: bool
    words: str = ""
    """Ours, never the provider's: its messages repeat phone numbers, keys and texts."""


Refine = Callable[[int, Any, Verdict], Verdict]


@dataclass(slots=True)
class Response:
    """A complete answer; header names are in lower case, ``parsed`` is the body where it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    parsed: Any = None

    @property
    def request_id(self) -> str | None:
        """The provider's own number for the call, which its support asks for."""
        return self.headers.get("x-request-id") or self.headers.get("twilio-request-id")


class HttpClient:
    """Calls one provider.

    ``fresh``: a new connection for each call, for providers without idempotency, because on a kept connection
    that the server just closed nobody can tell whether the request arrived.
    """

    def __init__(
        self, name: str, base_url: str, *, headers: Mapping[str, str], refine: Refine | None = None, fresh: bool = False
    ) -> None:
        address = urlsplit(base_url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"{base_url!r} is not an http(s) URL")
        self.name = name
        self._refine = refine
        self._origin = _origin(address.scheme == "https", address.hostname, address.port)
        self._prefix = address.path.rstrip("/")
        self._fresh = fresh
        fixed = {"Host": address.netloc.rpartition("@")[2], "Accept": "application/json", "User-Agent": "batchsite"}
        if fresh:
            fixed["Connection"] = "close"
        self._fixed_headers = _header_lines({**fixed, **headers})

    def post(self, path: str, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float) -> Response:
        """POST and return a 2xx answer, its JSON parsed. Raises :class:`ProviderError` for everything else."""
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\n".encode()
            + self._fixed_headers
            + _header_lines(headers)
            + b"Content-Length: %d\r\n\r\n" % len(body)
        )
        response = self._exchange(head, body, time.monotonic() + timeout_seconds)
        well_formed = True
        try:
            response.parsed = json.loads(response.body)
        except (ValueError, RecursionError):
            well_formed = False
        if not 200 <= response.status < 300:
            raise self._failure(response)
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

    def _exchange(self, head: bytes, body: bytes, deadline: float) -> Response:
        connection = None if self._fresh else self._origin.idle_connection()
        if connection is None:
            connection = self._connect(deadline)
        try:
            response, reusable = _converse(connection, head, body, deadline)
        except BaseException as fault:
            # BaseException: gevent's timeouts and kills, too, leave an answer behind that nobody may read.
            connection.close()
            if isinstance(fault, TimeoutError):
                raise self._lost(ErrorCategory.TIMEOUT, "timeout", "did not answer in time") from None
            if isinstance(fault, _TooLarge):
                raise self._lost(ErrorCategory.SERVER, "response_too_large", "sent too large an answer") from None
            if isinstance(fault, OSError):
                raise self._lost(ErrorCategory.NETWORK, "connection_lost", "cut the connection") from None
            if isinstance(fault, httptools.HttpParserError | httptools.HttpParserUpgrade):
                raise self._lost(ErrorCategory.SERVER, "invalid_response", "did not answer in HTTP") from None
            raise
        if reusable and not self._fresh:
            self._origin.keep(connection)
        else:
            connection.close()
        return response

    def _connect(self, deadline: float) -> socket.socket:
        try:
            return self._origin.connect(max(0.001, min(CONNECT_SECONDS, deadline - time.monotonic())))
        except (OSError, UnicodeError) as fault:  # UnicodeError: a host name that is none
            reason = getattr(fault, "strerror", None) or type(fault).__name__
            raise ProviderError(
                f"{self.name} could not be reached: {reason}",
                category=ErrorCategory.NETWORK,
                code="connection_failed",
                permanent=False,
                surely_not_sent=True,
            ) from None

    def _lost(self, category: ErrorCategory, code: str, what: str) -> ProviderError:
        return ProviderError(
            f"{self.name} {what}", category=category, code=code, permanent=False, surely_not_sent=False
        )

    def _failure(self, response: Response) -> ProviderError:
        verdict = classify(response.status)
        if self._refine is not None:
            verdict = self._refine(response.status, response.parsed, verdict)
        words = verdict.words or verdict.code
        return ProviderError(
            f"{self.name} answered {response.status}: {words}",
            category=verdict.category,
            code=verdict.code,
            permanent=verdict.permanent,
            surely_not_sent=verdict.surely_not_sent,
            retry_after=retry_after(response.headers, time.time()),
            status=response.status,
            request_id=response.request_id,
        )


# --- Policy, pure -----------------------------------------------------------------------------------

CATEGORIES = {
    401: ErrorCategory.AUTHENTICATION,
    402: ErrorCategory.BUDGET,
    403: ErrorCategory.AUTHENTICATION,
    404: ErrorCategory.NOT_FOUND,
    408: ErrorCategory.TIMEOUT,
    429: ErrorCategory.RATE_LIMIT,
    504: ErrorCategory.TIMEOUT,
}
TRANSIENT = frozenset({408, 409, 425, 429})
# A provider that sends one of these may have begun to work on the request.
AMBIGUOUS = frozenset({408, 409, 425})


@cache
def classify(status: int) -> Verdict:
    """What a status that is not 2xx means before the provider's own error code is looked at."""
    server = status >= 500
    fallback = ErrorCategory.SERVER if server else ErrorCategory.INVALID_REQUEST
    return Verdict(
        category=CATEGORIES.get(status, fallback),
        code=f"http_{status}",
        permanent=not server and status not in TRANSIENT,
        surely_not_sent=400 <= status < 500 and status not in AMBIGUOUS,
    )


def refined(verdict: Verdict, code: Any, **changes: Any) -> Verdict:
    """``verdict`` with the provider's own code, provided it is one: a short word or number, nothing personal."""
    code = str(code) if isinstance(code, str | int) and not isinstance(code, bool) else ""
    word = code.replace("_", "").replace("-", "").replace(".", "")
    if word.isascii() and word.isalnum() and len(code) <= 64 and sum(map(str.isdigit, code)) < 7:
        changes["code"] = code
    return replace(verdict, **changes)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the answer asks us to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


# --- Connections --------------------------------------------------------------------------------------


class _Origin:
    """The idle connections of this process to one host and port. Deques need no lock."""

    def __init__(self, secure: bool, host: str, port: int | None) -> None:
        self._host = host
        self._port = port or (443 if secure else 80)
        self._context = ssl.create_default_context() if secure else None
        self._idle: deque[tuple[float, socket.socket]] = deque()

    def connect(self, timeout: float) -> socket.socket:
        """A new connection, with its TLS handshake done."""
        connection = socket.create_connection((self._host, self._port), timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                return self._context.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def idle_connection(self) -> socket.socket | None:
        """The connection used last, if it is still good."""
        while self._idle:
            try:
                since, connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - since < IDLE_SECONDS and _is_quiet(connection):
                return connection
            connection.close()
        return None

    def keep(self, connection: socket.socket) -> None:
        if len(self._idle) < MOST_IDLE_CONNECTIONS:
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()


@cache
def _origin(secure: bool, host: str, port: int | None) -> _Origin:
    return _Origin(secure, host, port)


def _is_quiet(connection: socket.socket) -> bool:
    """Whether nothing waits to be read: neither a goodbye nor an answer to somebody else."""
    try:
        connection.settimeout(0)
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


class _TooLarge(Exception):
    """The answer is larger than anything a provider has reason to send."""


class _Answer:
    """Collects one response from httptools' callbacks."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.in_body = False
        self.complete = False
        self.reusable = False
        self._parts: list[bytes] = []
        self._size = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LARGEST_ANSWER:
            raise _TooLarge
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.in_body = self.status >= 200

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        if self.status < 200:  # an interim answer; the real one follows
            self.headers.clear()
        else:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    @property
    def status(self) -> int:
        status: int = self._parser.get_status_code()
        return status

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the closed connection tells that the body is complete."""
        return self.in_body and not {"content-length", "transfer-encoding"} & self.headers.keys()

    def response(self) -> Response:
        return Response(self.status, self.headers, b"".join(self._parts))


def _converse(connection: socket.socket, head: bytes, body: bytes, deadline: float) -> tuple[Response, bool]:
    """Send one request and read its answer; also tells whether the connection can be used again."""
    connection.settimeout(_remaining(deadline))
    # Whoever refuses a request early hangs up before reading it all, and its answer may be waiting.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(head + body)
    answer = _Answer()
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
