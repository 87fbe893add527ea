"""Errors that come as a number of gRPC, or of HTTP: both occur."""

from __future__ import annotations

from typing import Any

CANCELLED = 1
DEADLINE_EXCEEDED = 4
STATUSES = {
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    11: 400,
    12: 501,
    13: 500,
    14: 503,
    15: 500,
    16: 401,
}
"""The status of HTTP that stands for each number."""


def http_status(code: Any) -> int:
    """The status for a number of either kind; what is neither counts as a fault of the server's."""
    if not isinstance(code, int) or isinstance(code, bool):
        return 500
    return code if 400 <= code < 600 else STATUSES.get(code, 500)
