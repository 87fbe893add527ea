"""What a raw server does to a connection: it reads a request as it came, and answers bytes that a test wrote."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

Answering = Callable[[socket.socket], None]
RawServer = Callable[[Answering], str]
"""The fixture ``raw_server``: starts one that answers every connection so; returns its URL."""


def head_of(connection: socket.socket) -> bytes:
    """A request's head, and whatever of its body came along."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        data += more
    return data


def size_in(head: bytes) -> int:
    """How long the body is, by its head."""
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)


def read_request(connection: socket.socket) -> bytes:
    """A whole request: who closes a connection with bytes unread takes its own answer back."""
    data = head_of(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    while len(body) < size_in(head):
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        body += more
    return head + b"\r\n\r\n" + body


def taken_apart(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Method and path, headers by their names in lower case, body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first.removesuffix(" HTTP/1.1"), {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}, body


def answering(*pieces: bytes, pause: float = 0, seen: list[bytes] | None = None) -> Answering:
    """Reads one request, into ``seen`` as well, and sends the pieces, each followed by so many seconds of silence."""

    def answer(connection: socket.socket) -> None:
        request = read_request(connection)
        if seen is not None:
            seen.append(request)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


def response(content: bytes, status: int = 200, **headers: str) -> bytes:
    """One whole answer; ``request_id="r"`` is the header ``Request-Id``."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    head = f"HTTP/1.1 {status} Some\r\nContent-Length: {len(content)}\r\n{''.join(lines)}\r\n"
    return head.encode() + content


def json_response(document: Any, status: int = 200, **headers: str) -> bytes:
    return response(json.dumps(document).encode(), status, **headers)
