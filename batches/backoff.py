"""How long to wait before the next attempt: pure functions of their arguments."""

from __future__ import annotations

import random
from dataclasses import dataclass

from batches.outcomes import Fault
from providers.base import ErrorCategory


@dataclass(frozen=True, slots=True)
class Ladder:
    """Delays that double from ``first`` to ``last``, in seconds."""

    first: float
    last: float

    def rung(self, attempt: int) -> float:
        """The full delay after the ``attempt``-th call (from 1)."""
        return float(min(self.last, self.first * 2.0 ** min(max(attempt - 1, 0), 32)))


RATE_LIMITED = Ladder(first=1.0, last=60.0)
TRANSIENT = Ladder(first=2.0, last=120.0)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What a batch allows. ``max_retries`` None: unlimited within the window; ``backoff_seconds`` None: the ladders."""

    max_retries: int | None
    window_seconds: float
    backoff_seconds: float | None


def ladder_for(category: ErrorCategory, policy: RetryPolicy) -> Ladder:
    """The ladder of an error's kind; a batch's own first delay keeps the kind's ceiling (or itself, if larger)."""
    ladder = RATE_LIMITED if category == ErrorCategory.RATE_LIMIT else TRANSIENT
    if policy.backoff_seconds is None:
        return ladder
    return Ladder(policy.backoff_seconds, max(policy.backoff_seconds, ladder.last))


def equal_jitter(delay: float, randomness: float | None = None) -> float:
    """Half of the delay certain, half random: spread out, yet never at once."""
    if randomness is None:
        randomness = random.random()  # noqa: S311 - spreading load, not a secret
    return delay / 2 + delay / 2 * randomness


def retry_delay(
    fault: Fault,
    policy: RetryPolicy,
    *,
    attempts: int,
    failures: int,
    elapsed_seconds: float,
    randomness: float | None = None,
) -> float | None:
    """Seconds until the next attempt, or None when the item has had all it is allowed.

    ``attempts``: calls made, this one included; ``failures``: those of them that spend the retry count (a 429 does
    not); ``elapsed_seconds``: since the item's first attempt. What the provider asked for is a minimum.
    """
    if policy.max_retries is not None and failures > policy.max_retries:
        return None
    delay = equal_jitter(ladder_for(fault.category, policy).rung(attempts), randomness)
    delay = max(delay, fault.retry_after or 0.0)
    if elapsed_seconds + delay > policy.window_seconds:
        return None
    return delay
