"""What a failed answer means: pure policy, one table for all providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from providers.base import ErrorCategory


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failed answer means; a provider's own error code may refine what its status says."""

    category: ErrorCategory
    code: str
    permanent: bool
    surely_not_sent: bool
    words: str = ""
    """Ours, never the provider's: its messages repeat phone numbers, keys and texts."""
    retry_after: float | None = None
    """Seconds that the body asks us to wait, where a provider says so there and not in a header."""


Refine = Callable[[int, Any, Verdict], Verdict]


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
