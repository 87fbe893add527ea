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
    of_provider: bool = False
    """Whether another provider may take what this one refuses for good."""


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
LONGEST_WAIT_SECONDS = 31 * 86_400.0
"""Nobody means to be left alone for longer: what asks for more is odd, and asks for nothing."""
# A provider that sends one of these may have begun to work on the request.
AMBIGUOUS = frozenset({408, 409, 425})


@cache
def classify(status: int) -> Verdict:
    """What a status that is not 2xx means before the provider's own error code is looked at.

    A redirect, which is never followed, says nothing against the request: whoever sends one is at fault, perhaps for
    an hour, and thousands of items must not fail over it.
    """
    server = not 400 <= status < 500
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


def code_among(*candidates: Any) -> str | int:
    """The first that can be a provider's code at all; empty where none can."""
    codes = (each for each in candidates if isinstance(each, str | int) and not isinstance(each, bool) and each)
    return next(codes, "")


def wait_of(text: str, unit: float = 1.0) -> float | None:
    """Seconds that a number asks us to wait, ``unit`` of which make one; None for what nobody can mean."""
    try:
        seconds = float(text) / unit
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_WAIT_SECONDS else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the answer asks us to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if (seconds := wait_of(headers.get(name, ""), unit)) is not None:
            return seconds
    try:
        date = parsedate_to_datetime(headers["retry-after"])
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, seconds) if seconds <= LONGEST_WAIT_SECONDS else None
