"""Global ceilings on the rate of calls, held in Redis by reservation: a permit is an instant, not a yes or no.

A waiter learns in one round trip when its slot is, so nobody polls; a slot further away than the horizon is refused
and its item snoozed. Without Redis nothing limited is called at all.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

from django.conf import settings
from redis.commands.core import Script
from redis.exceptions import RedisError

from batches.connections import redis_client
from batches.provider_accounts.account_states import known_accounts
from batches.states import Channel
from providers.base import Provider

HORIZON_SECONDS = 1.0
"""A slot further away is not given, unless the caller asks for less."""
FORGET_MILLISECONDS = 7 * 24 * 3600 * 1000
SHARE_OF_LEARNED = 0.98
"""Of what a provider says it admits: its clock and its counting are not ours."""
USUAL_TOKENS = 1_000.0
"""Of a call, before the first ones of an account tell."""
LONGEST_PROMISE_SECONDS = 300.0
"""A call of very many tokens pushes the next one no further away than this."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A named global ceiling of evenly spaced permits: no burst, not even after a pause.

    ``forgettable``: it belongs to one batch, so Redis may drop it some day. A shared limit is never dropped, or its
    count would start anew. ``tokens_per_second``: of a limit on tokens, whose permits are as far apart as the call
    before needs; ``per_second`` is then what it lets pass of calls of the usual size.
    """

    name: str
    per_second: float
    forgettable: bool = False
    tokens_per_second: float | None = None

    @property
    def interval(self) -> float:
        """Seconds between two permits."""
        return 1.0 / self.per_second

    def for_call(self, tokens: int) -> Limit:
        """The limit as a call of so many tokens meets it."""
        if self.tokens_per_second is None:
            return self
        return replace(self, per_second=self.tokens_per_second / max(1, tokens))


class Limited(Protocol):
    """What decides the limits of a call: a batch, or what the dispatcher read of one."""

    @property
    def id(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def priority(self) -> str: ...
    @property
    def rate_limit(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """Answer of :func:`reserve`: slots as instants of ``time.monotonic()``, and when to ask again for the rest.

    ``uncertain_seconds``: by how much the true instants, on the server's clock, may lie before these.
    """

    slots: tuple[float, ...]
    next_wait_seconds: float
    spacing_seconds: float
    uncertain_seconds: float


def limits_of(batch: Limited, provider: Provider | None) -> tuple[Limit, ...]:
    """Every rate ceiling that a call of this batch must respect; empty on an open lane."""
    found: list[Limit] = []
    if provider is not None:
        per_second = provider.limits.sms_per_second.get(batch.priority) if batch.channel == Channel.SMS else None
        if per_second:
            found.append(Limit(f"sms:{provider.alias}:{batch.priority}", per_second))
        found += _limits_of_account(provider)
    if batch.rate_limit:
        found.append(Limit(f"batch:{batch.id}", batch.rate_limit / 60.0, forgettable=True))
    return tuple(found)


def _limits_of_account(provider: Provider) -> Iterator[Limit]:
    """Its requests and tokens a minute: what is configured or what its answers say, whichever is less."""
    given, state = provider.limits, known_accounts.state(provider.alias)
    requests = _smaller(given.requests_per_minute, state.requests_per_minute)
    if requests:
        yield Limit(f"requests:{provider.alias}", requests / 60.0)
    tokens = _smaller(given.tokens_per_minute, state.tokens_per_minute)
    if tokens:
        usual = state.tokens_per_call or USUAL_TOKENS
        yield Limit(f"tokens:{provider.alias}", tokens / 60.0 / usual, tokens_per_second=tokens / 60.0)


def _smaller(configured: float | None, learned: float | None) -> float | None:
    learned = learned * SHARE_OF_LEARNED if learned else None
    return min((each for each in (configured, learned) if each), default=None)


def slowest(limits: Sequence[Limit]) -> Limit | None:
    """The limit that decides the pace."""
    return min(limits, key=lambda limit: limit.per_second, default=None)


def fresh_delay(limit: Limit, horizon_seconds: float) -> float:
    """How long a limit that Redis does not know waits before its first slot.

    After a FLUSHALL slots up to the horizon may already be promised; the new count starts an interval behind the last
    of them. Of an interval longer than a second only that: a flush lets a limit of a few a minute make one call early
    rather than every new batch wait for minutes.
    """
    return horizon_seconds + min(limit.interval, 1.0)


def reserve(limits: Sequence[Limit], count: int, *, horizon_seconds: float = HORIZON_SECONDS) -> Reservation:
    """Reserve up to ``count`` slots of all limits together within the horizon. Raises ``redis.RedisError``.

    All calls of one limit must ask with the same horizon, see :func:`fresh_delay`.
    """
    arguments: list[int] = [count, _microseconds(horizon_seconds)]
    for limit in limits:
        arguments += [
            _microseconds(limit.interval),
            FORGET_MILLISECONDS if limit.forgettable else 0,
            _microseconds(fresh_delay(limit, horizon_seconds)),
            _microseconds(_furthest(limit, horizon_seconds)),
        ]
    keys = [f"{settings.REDIS_PREFIX}:limit:{limit.name}" for limit in limits]
    asked_at = time.monotonic()
    granted, first, spacing, refused = cast(
        "tuple[int, int, int, int]", _script()(keys=keys, args=arguments, client=redis_client())
    )
    # Counted from after the answer: a slow network, or a process that was stopped, makes a call late, never early.
    now = time.monotonic()
    slots = tuple(now + (first + index * spacing) / 1e6 for index in range(granted))
    return Reservation(slots, refused / 1e6, spacing / 1e6, now - asked_at)


def introduce(provider: Provider) -> None:
    """Make the limits of an account known that were just learned, so that the first call need not wait for that."""
    limits = tuple(_limits_of_account(provider))
    if not limits:
        return
    try:
        reserve(limits, 0)
    except RedisError:
        return  # the first call introduces them


def settle(limit: Limit, reserved: int, used: int) -> None:
    """Correct a limit on tokens by what a call used in truth. Raises ``redis.RedisError``.

    Whoever asks next gets its slot the sooner or the later; slots that are promised stay. What Redis has forgotten
    meanwhile is not corrected: it counts anew already.
    """
    if limit.tokens_per_second is None or used == reserved:
        return
    correction = _microseconds((used - reserved) / limit.tokens_per_second)
    key = f"{settings.REDIS_PREFIX}:limit:{limit.name}"
    _settlement()(keys=[key], args=[correction], client=redis_client())


def _furthest(limit: Limit, horizon_seconds: float) -> float:
    """How far away the next slot of a limit can truly be; a later one is a clock that jumped back."""
    if limit.tokens_per_second is not None:
        return LONGEST_PROMISE_SECONDS
    return max(horizon_seconds + limit.interval, fresh_delay(limit, horizon_seconds))


@functools.cache
def _script() -> Script:
    return _registered("reservation.lua")


@functools.cache
def _settlement() -> Script:
    return _registered("settlement.lua")


def _registered(name: str) -> Script:
    return redis_client().register_script((Path(__file__).parent / name).read_text())


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
