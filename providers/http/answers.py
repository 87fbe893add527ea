"""Reading one answer: HTTP by httptools' C parser, its body as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import httptools
import orjson

LARGEST_ANSWER = 16 * 1024 * 1024
MOST_HEADERS = 1000
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "twilio-request-id")


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
        return next((self.headers[name] for name in REQUEST_ID_HEADERS if self.headers.get(name)), None)


def read_json(body: bytes) -> Any:
    """The document. Raises ``ValueError`` for what is none, ``RecursionError`` for one nested too deeply.

    What orjson refuses gets a second look: a text cut in the middle of an emoji and a byte order mark are no reason
    to pay for the call again. NaN and the infinite stay refused: no arithmetic on an answer expects them.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("the number is beyond every type")
    return number


class TooLarge(Exception):
    """The answer is larger than anything a provider has reason to send."""


class Answer:
    """Collects one response from httptools' callbacks."""

    def __init__(self, largest: int | None = None) -> None:
        self.headers: dict[str, str] = {}
        self.in_body = False
        self.complete = False
        self.reusable = False
        self._parts: list[bytes] = []
        self._size = 0
        self._headers_left = MOST_HEADERS
        self._largest = LARGEST_ANSWER if largest is None else largest
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what came. Raises :class:`TooLarge`, or ``httptools.HttpParserError`` for what is no HTTP."""
        self._size += len(data)
        if self._size > self._largest:
            raise TooLarge
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_left -= 1
        if self._headers_left < 0:
            raise ValueError("headers without end")
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
        """The status line's number."""
        status: int = self._parser.get_status_code()
        return status

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the closed connection tells that the body is complete."""
        return self.in_body and not {"content-length", "transfer-encoding"} & self.headers.keys()

    def take(self) -> bytes:
        """The part of the body that came since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken

    def response(self) -> Response:
        """What was read."""
        return Response(self.status, self.headers, b"".join(self._parts))
