"""A provider that answers what a test has written down, by method and path."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Recorded:
    """The answers of one server. A list of answers is given one after the other, the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, bytes]] = []
        self._answers: dict[str, list[tuple[int, bytes, dict[str, str]]]] = {}

    def answer(
        self, request: str, body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """What ``GET /path`` and the like is answered with; the query does not count."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._answers.setdefault(request, []).append((status, content, headers or {}))

    def take(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append((method, path, body))
        answers = self._answers.get(f"{method} {path.partition('?')[0]}")
        if answers is None:
            return 404, b'{"error": {"message": "nothing written down"}}', {}
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def recorded() -> Iterator[Recorded]:
    """A running one."""
    answers = Recorded()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content, headers = answers.take(self.command, self.path, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *values: Any) -> None:
            """Not to the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
