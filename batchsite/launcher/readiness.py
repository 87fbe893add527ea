"""Asks /readyz, and says which part is missing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

# Names in the answer that speak of the whole, not of a part.
SUMMARY_NAMES = frozenset({"ready", "ok", "success", "status"})


def readiness(port: int) -> tuple[bool, str]:
    """Whether /readyz says so, and what is missing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status == http.HTTPStatus.OK, missing_parts(response.read())
    except (OSError, http.client.HTTPException):
        return False, "web"
    finally:
        connection.close()


def missing_parts(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return "web"
    return ", ".join(sorted(falsy_names(answer))) or "web"


def falsy_names(answer: object) -> Iterator[str]:
    """The names of all parts that are not well, however the answer nests them."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name in SUMMARY_NAMES:
                continue
            if isinstance(value, dict):
                yield from falsy_names(value)
            elif value is False or (isinstance(value, str) and value not in {"ok", "ready"}):
                yield str(name)
