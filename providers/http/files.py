"""The door for large things: small exchanges of any method, files sent from disk, answers read line by line.

Each call has a connection of its own, redirects are failures like everything outside 2xx, and an address that an
answer names is only followed on the provider's own origin: no answer can send us anywhere else.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from urllib.parse import urlsplit

from providers.base import ErrorCategory, ProviderError
from providers.http.answers import Answer, Response
from providers.http.bodies import FileBody
from providers.http.client import CHUNK, HttpClient
from providers.http.verdicts import Refine

SILENT_SECONDS = 90.0
"""How long a download may stand still."""
LARGEST_DOWNLOAD = 4 * 1024**3
LONGEST_LINE = 4 * 1024**2
LARGEST_REFUSAL = 64 * 1024
KEPT_OF_A_LONGER_LINE = 64 * 1024


class FileClient(HttpClient):
    """Calls one provider. Paths count from the origin; :attr:`prefix` is the path of the base URL."""

    def __init__(self, name: str, base_url: str, *, headers: Mapping[str, str], refine: Refine | None = None) -> None:
        address = urlsplit(base_url)
        self.prefix = address.path.rstrip("/")
        self._own = (address.scheme, address.hostname, address.port or _usual_port(address.scheme))
        root = f"{address.scheme}://{address.netloc}"
        super().__init__(name, root, headers={"Accept": "*/*", **headers}, refine=refine, fresh=True)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | FileBody = b"",
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make one exchange and return a 2xx answer, its JSON parsed; an empty body is None.

        A file of any size is sent in constant memory. Raises :class:`ProviderError` for everything else.
        """
        size = len(body) if isinstance(body, bytes) else body.size
        head = self._head(method, path, headers or {}, size)
        response = self._exchange(head, body, time.monotonic() + timeout_seconds)
        if not response.body.strip() and 200 <= response.status < 300:
            return response
        return self._read(response)

    def lines(self, path: str, *, timeout_seconds: float) -> Iterator[bytes]:
        """GET a file's lines, without their breaks and without empty ones, in constant memory.

        ``timeout_seconds``: how long the provider may take for all of it; the time between two lines that the caller
        takes does not count. Of a line longer than 4 MiB only the beginning comes. Raises :class:`ProviderError`
        at the start or, where the answer is cut, after the last line that came whole.
        """
        with closing(self._download(path, timeout_seconds)) as pieces:
            yield from lines_of(pieces)

    def own_path(self, url: str) -> str | None:
        """The path and query of an address that the provider named; None where it is not on its own origin."""
        try:
            address = urlsplit(url)
            origin = (address.scheme, address.hostname, address.port or _usual_port(address.scheme))
        except ValueError:
            return None
        local = not address.scheme and not address.netloc
        if not (local or origin == self._own) or address.username is not None:
            return None
        path = address.path + (f"?{address.query}" if address.query else "")
        return path if path.startswith("/") and path.isascii() and path.isprintable() and " " not in path else None

    def _download(self, path: str, timeout_seconds: float) -> Generator[bytes]:
        connection = self._connect(time.monotonic() + timeout_seconds)
        refusal = bytearray()
        last = b"\n"
        try:
            budget = timeout_seconds + self._await_departure(connection)
            connection.settimeout(SILENT_SECONDS)
            connection.sendall(self._head("GET", path, {}, 0))
            answer = Answer(largest=LARGEST_DOWNLOAD)
            for data in _received(connection, budget):
                answer.feed(data)
                piece = answer.take()
                if piece and 200 <= answer.status < 300:
                    yield piece
                    last = piece[-1:]
                else:
                    refusal += piece
                if answer.complete or len(refusal) > LARGEST_REFUSAL:
                    break
            else:
                # Where nothing else tells the end, a line that was cut does.
                if not answer.ends_with_connection or last != b"\n":
                    raise ConnectionError("closed before the answer was complete")
        except Exception as fault:
            if (named := self._named(fault)) is fault:
                raise
            raise named from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            self._read(Response(answer.status, answer.headers, bytes(refusal)))  # raises what it stands for

    def elsewhere(self) -> ProviderError:
        """The error for an address that is not the provider's own."""
        return ProviderError(
            f"{self.name} named an address that is not its own",
            category=ErrorCategory.SERVER,
            code="foreign_address",
            permanent=False,
            surely_not_sent=False,
        )


def _usual_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _received(connection: socket.socket, budget: float) -> Iterator[bytes]:
    """What comes, until the end. Only time spent waiting here counts against the budget."""
    while True:
        if budget <= 0:
            raise TimeoutError
        connection.settimeout(min(SILENT_SECONDS, budget))
        began = time.monotonic()
        data = connection.recv(CHUNK)
        budget -= time.monotonic() - began
        if not data:
            return
        yield data


def lines_of(pieces: Iterable[bytes], longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of a text that comes in pieces; of one longer than ``longest`` bytes only the beginning."""
    line = bytearray()
    overlong = False
    for piece in pieces:
        for number, part in enumerate(piece.split(b"\n")):
            if number:  # a break came before this part
                if text := line.strip():
                    yield bytes(text)
                line.clear()
                overlong = False
            if not overlong:
                line += part
            if len(line) > longest:
                del line[KEPT_OF_A_LONGER_LINE:]
                overlong = True
    if text := line.strip():
        yield bytes(text)
