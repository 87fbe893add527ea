"""The limits of the accounts at the fake providers, what answers' headers say of them, and accounts that are shut.

A call counts as a request when it comes and as tokens when it was answered; both in buckets that fill evenly. Each
provider names its limits in headers of its own; Groq counts requests by the day there, Gemini names none.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.sandbox.wire import Answer, Dialect

MINUTES_A_DAY = 1440
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What one account may. ``refuse``: an HTTP status that all its calls are answered with, 401 or 402 or 529."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    most_in_flight: int | None = None
    refuse: int | None = None


@dataclass(slots=True)
class Bucket:
    """Fills evenly up to its size. What is taken may leave it below nothing."""

    per_minute: float
    size: float
    level: float
    seen: float

    def fill(self, now: float) -> float:
        """Its level at ``now``."""
        self.level = min(self.size, self.level + (now - self.seen) * self.per_minute / 60)
        self.seen = now
        return self.level

    def seconds_until(self, level: float) -> float:
        """From its last filling until it holds so much."""
        return max(0.0, (level - self.level) * 60 / self.per_minute)


class Quotas:
    """The accounts' buckets, by alias."""

    def __init__(self) -> None:
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}
        self._in_flight = Counter[str]()

    def reset(self) -> None:
        """Fill all buckets: the limits were changed."""
        self._requests.clear()
        self._tokens.clear()

    def refusal(self, alias: str, account: Account, dialect: Dialect, now: float) -> Answer | None:
        """Take a call in, or answer why not."""
        if account.refuse is not None:
            return dialect.error(account.refuse)
        if account.most_in_flight is not None and self._in_flight[alias] >= account.most_in_flight:
            return dialect.error(429)
        wait = 0.0
        for bucket in self._buckets(alias, account, now):
            bucket.fill(now)
            wait = max(wait, bucket.seconds_until(1.0))
        if wait:
            return dialect.error(429, headers=((b"retry-after", b"%d" % max(1, math.ceil(wait))),))
        if requests := self._requests.get(alias):
            requests.level -= 1
        return None

    def enter(self, alias: str) -> None:
        """A call was taken in, and is under way."""
        self._in_flight[alias] += 1

    def leave(self, alias: str, account: Account, answer: Answer | None) -> None:
        """It was answered, and used what its answer says."""
        self._in_flight[alias] -= 1
        if account.tokens_per_minute is not None and answer is not None and (tokens := self._tokens.get(alias)):
            tokens.level -= tokens_in(answer)

    def headers(self, alias: str, account: Account, dialect: Dialect, path: str, now: float) -> Headers:
        """What an answer says of the account's limits."""
        if dialect.name not in {"openai", "anthropic"}:
            return ()
        named: list[tuple[bytes, bytes]] = []
        for what, limit, buckets in (
            ("requests", account.requests_per_minute, self._requests),
            ("tokens", account.tokens_per_minute, self._tokens),
        ):
            bucket = buckets.get(alias)
            if limit is None or bucket is None:
                continue
            bucket.fill(now)
            left = max(0, int(bucket.level))
            if dialect.name == "anthropic":
                named += _of_anthropic(what, limit, left, bucket.seconds_until(bucket.size))
            elif path.startswith("/openai/v1/") and what == "requests":
                named += _of_openai(what, limit * MINUTES_A_DAY, left, 86_400.0)
            else:
                named += _of_openai(what, limit, left, bucket.seconds_until(bucket.size))
        return tuple(named)

    def _buckets(self, alias: str, account: Account, now: float) -> list[Bucket]:
        """The account's buckets, made with its first call: one second's worth of calls, ten seconds' of tokens."""
        found = []
        for per_minute, seconds, buckets in (
            (account.requests_per_minute, 1.0, self._requests),
            (account.tokens_per_minute, 10.0, self._tokens),
        ):
            if per_minute is None:
                continue
            if alias not in buckets:
                size = max(1.0, per_minute / 60 * seconds)
                buckets[alias] = Bucket(per_minute, size, size, now)
            found.append(buckets[alias])
        return found


def _of_openai(what: str, limit: float, left: int, reset: float) -> list[tuple[bytes, bytes]]:
    minutes, seconds = divmod(reset, 60)
    duration = f"{minutes:.0f}m{seconds:.3f}s" if minutes else f"{seconds:.3f}s"
    return [
        (f"x-ratelimit-limit-{what}".encode(), b"%d" % limit),
        (f"x-ratelimit-remaining-{what}".encode(), b"%d" % left),
        (f"x-ratelimit-reset-{what}".encode(), duration.encode()),
    ]


def _of_anthropic(what: str, limit: float, left: int, reset: float) -> list[tuple[bytes, bytes]]:
    full_at = (datetime.now(UTC) + timedelta(seconds=reset)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        (f"anthropic-ratelimit-{what}-limit".encode(), b"%d" % limit),
        (f"anthropic-ratelimit-{what}-remaining".encode(), b"%d" % left),
        (f"anthropic-ratelimit-{what}-reset".encode(), full_at.encode()),
    ]


def tokens_in(answer: Answer) -> int:
    """What a chat answer says it used, in any provider's words; 0 for anything else."""
    try:
        content = json.loads(answer.body)
        usage = content.get("usage") or content.get("usageMetadata") or {}
        whole = usage.get("total_tokens", usage.get("totalTokenCount"))
        return int(whole if whole is not None else usage["input_tokens"] + usage["output_tokens"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0


def problem_of(value: Any) -> str | None:
    """What is wrong with the setting ``accounts``."""
    if not isinstance(value, Mapping):
        return "must be an object of alias: limits"
    known = Account.__dataclass_fields__
    for alias, account in value.items():
        if not isinstance(account, Mapping):
            return f"{alias}: must be an object"
        for name, limit in account.items():
            if name not in known:
                return f"{alias}: unknown {name!r}; known are {', '.join(known)}"
            if limit is not None and not _fits(name, limit):
                return (
                    f"{alias}: {name} must be {'a status from 400 to 599' if name == 'refuse' else 'above 0'}, or null"
                )
    return None


def _fits(name: str, limit: Any) -> bool:
    if not isinstance(limit, int | float) or isinstance(limit, bool) or not math.isfinite(limit):
        return False
    return (isinstance(limit, int) and 400 <= limit <= 599) if name == "refuse" else limit > 0
