"""What a provider's answers say about the limits of an account, in their headers. Lenient: what is odd says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

SILENT_ANSWERS = 20
"""After so many good answers in a row that name no limit, the one named before holds no more; of an account that takes
few a minute, after as many as come in five seconds."""
COUNTED_BY_THE_MINUTE_SECONDS = 61.0
"""A count of a minute starts anew within one; what takes longer is counted by the day, and is no pace."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONG = frozenset("mhd")
"""Letters of a duration that may be longer than a minute."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The limits of an account as its provider names them. None: not named."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


NO_CEILINGS = Ceilings()

Headers = Mapping[str, str]
ReadCeilings = Callable[[Headers], Ceilings]


class Told:
    """What the answers to one account's calls in this process said last. ``answers``: how many there were."""

    __slots__ = ("_read", "_silent", "answers", "ceilings")

    def __init__(self, read: ReadCeilings) -> None:
        self._read = read
        self._silent = 0
        self.answers = 0
        self.ceilings = NO_CEILINGS

    def hear(self, status: int, headers: Headers) -> None:
        """Take note of an answer. Called for each one: answers in a row say the same."""
        self.answers += 1
        ceilings = self._read(headers)
        if ceilings is not NO_CEILINGS:
            self._silent = 0
            self.ceilings = ceilings
        elif self.ceilings is not NO_CEILINGS and 200 <= status < 300:
            self._silent += 1
            if self._silent >= min(SILENT_ANSWERS, (self.ceilings.requests_per_minute or 60.0 * SILENT_ANSWERS) / 12):
                self.ceilings = NO_CEILINGS


def ceiling(text: str | None) -> float | None:
    """A limit; None where none is named. Some providers send 0 or -1 where they mean none."""
    try:
        number = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return number if 1.0 <= number < 1e12 else None


@lru_cache(maxsize=256)
def _ceilings(requests: str | None, tokens: str | None) -> Ceilings:
    """Answers in a row say the same."""
    return Ceilings(ceiling(requests), ceiling(tokens))


def seconds_of(duration: str) -> float | None:
    """``12ms``, ``1s``, ``6m0s``, ``1h2m3.5s``; None for anything else."""
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def of_openai(headers: Headers) -> Ceilings:
    """OpenAI's ``x-ratelimit-*``: requests, and tokens, a minute; of small accounts requests a day."""
    requests, tokens = headers.get("x-ratelimit-limit-requests"), headers.get("x-ratelimit-limit-tokens")
    if requests is None and tokens is None:
        return NO_CEILINGS
    reset = headers.get("x-ratelimit-reset-requests", "")
    # Nearly all are some seconds or milliseconds, and need no closer look.
    may_be_long = not reset.endswith("ms") and not _LONG.isdisjoint(reset)
    by_the_day = may_be_long and (seconds_of(reset) or 0.0) > COUNTED_BY_THE_MINUTE_SECONDS
    return _ceilings(None if by_the_day else requests, tokens)


def of_groq(headers: Headers) -> Ceilings:
    """Groq's headers look like OpenAI's, but count requests by the day: no pace, only the tokens are."""
    tokens = headers.get("x-ratelimit-limit-tokens")
    return NO_CEILINGS if tokens is None else _ceilings(None, tokens)


def of_anthropic(headers: Headers) -> Ceilings:
    """Anthropic's ``anthropic-ratelimit-*``, all by the minute; tokens together, or of both directions."""
    requests = headers.get("anthropic-ratelimit-requests-limit")
    tokens = ceiling(headers.get("anthropic-ratelimit-tokens-limit"))
    if tokens is None:
        both = [ceiling(headers.get(f"anthropic-ratelimit-{way}-tokens-limit")) for way in ("input", "output")]
        tokens = sum(each for each in both if each) or None
    return NO_CEILINGS if requests is None and tokens is None else Ceilings(ceiling(requests), tokens)


def of_nobody(headers: Headers) -> Ceilings:
    """Of a provider that names no limits."""
    return NO_CEILINGS
