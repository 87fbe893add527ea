"""Global ceilings on the rate of calls, held in Redis by reservation: a permit is an instant, not a yes or no.

A waiter learns in one round trip when its slot is, so nobody polls; a slot further away than the horizon is refused
and its item snoozed. Without Redis nothing limited is called at all.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from django.conf import settings
from redis.commands.core import Script

from batches.connections import redis_client
from batches.states import Channel
from providers.base import Provider

HORIZON_SECONDS = 1.0
"""A slot further away is not given, unless the caller asks for less."""
FORGET_MILLISECONDS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """A named global ceiling of evenly spaced permits: no burst, not even after a pause.

    ``forgettable``: it belongs to one batch, so Redis may drop it some day. A shared limit is never dropped, or its
    count would start anew.
    """

    name: str
    per_second: float
    forgettable: bool = False

    @property
    def interval(self) -> float:
        """Seconds between two permits."""
        return 1.0 / self.per_second


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
        if provider.limits.requests_per_minute:
            found.append(Limit(f"requests:{provider.alias}", provider.limits.requests_per_minute / 60.0))
    if batch.rate_limit:
        found.append(Limit(f"batch:{batch.id}", batch.rate_limit / 60.0, forgettable=True))
    return tuple(found)


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


@functools.cache
def _script() -> Script:
    source = (Path(__file__).parent / "reservation.lua").read_text()
    return redis_client().register_script(source)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
