"""How often a client may call: exact sliding windows in Redis, shared by all web processes.

The decision is one script, so several processes together admit no more than one would. Redis is asked for a fifth of
a second at most: while it does not answer, requests are let through and that is logged, because no submit ever waits
on Redis.
"""

from __future__ import annotations

import functools
import logging
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, cast

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from batches.models import ApiKey

logger = logging.getLogger(__name__)

MINUTE_SECONDS = 60.0
ANSWER_SECONDS = 0.2
"""Redis is local to its clients; one that takes longer is not there."""
REST_SECONDS = 5.0
"""Redis is left alone for so long after it did not answer: only the first request pays for finding out."""


class WindowThrottle(BaseThrottle):
    """At most :meth:`limit` requests of one identity in any window of ``seconds``.

    A subclass says how many, and whose requests count together. Name it in ``throttle_classes`` of a view; too many are
    answered 429 with ``Retry-After``. ``name`` keeps its counts apart from other throttles'.
    """

    name: ClassVar[str]
    seconds: ClassVar[float] = MINUTE_SECONDS
    methods: ClassVar[Sequence[str]] = ("POST",)
    """Requests by other methods are not counted."""

    def __init__(self) -> None:
        self._wait: float | None = None

    @abstractmethod
    def limit(self) -> int:
        """How many requests a window admits."""

    @abstractmethod
    def identity(self, request: Request) -> str:
        """Whose request it is; only signed-in callers come this far."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request, or say no."""
        if request.method not in self.methods:
            return True
        self._wait = seconds_to_wait(f"{self.name}:{self.identity(request)}", self.limit(), self.seconds)
        return self._wait == 0.0

    def wait(self) -> float | None:
        """Seconds until the next request would be admitted."""
        return self._wait


class OwnerThrottle(WindowThrottle):
    """Counts all requests of one user together, whatever key or browser they come from."""

    def identity(self, request: Request) -> str:
        """The user."""
        return self.of_user(request.user.pk)

    @staticmethod
    def of_user(user_id: int | None) -> str:
        """The identity of a user."""
        return f"user:{user_id}"


class KeyThrottle(WindowThrottle):
    """Counts the requests of each API key by itself; those of a user's browsers together."""

    def identity(self, request: Request) -> str:
        """The key, or the user where none was used."""
        return f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"


class CreationThrottle(OwnerThrottle):
    """New batches per owner and minute: ``BATCH_CREATES_PER_MINUTE``."""

    name = "creates"

    def limit(self) -> int:
        """From the setting."""
        return int(settings.BATCH_CREATES_PER_MINUTE)


class Door:
    """Asks Redis, unless it did not answer a moment ago."""

    def __init__(self) -> None:
        self._closed_until = 0.0

    def seconds_to_wait(self, name: str, limit: int, seconds: float) -> float:
        """0 where the event was admitted and counted, else how long to wait; 0 while Redis does not answer."""
        if time.monotonic() < self._closed_until:
            return 0.0
        key = f"{settings.REDIS_PREFIX}:throttle:{name}"
        try:
            microseconds = cast(int, _script()(keys=[key], args=[limit, round(seconds * 1e6)], client=_client()))
        except redis.RedisError as error:
            self._closed_until = time.monotonic() + REST_SECONDS
            logger.warning("Redis did not answer (%s): requests are not throttled", type(error).__name__)
            return 0.0
        return microseconds / 1e6


_door = Door()


def seconds_to_wait(name: str, limit: int, seconds: float) -> float:
    """Count an event unless ``limit`` were admitted in the last ``seconds``; returns what :class:`Door` says."""
    return _door.seconds_to_wait(name, limit, seconds)


def seconds_until_create(owner_id: int) -> float:
    """Count a batch that is created by a page, together with those by the API; returns what :class:`Door` says."""
    throttle = CreationThrottle()
    return seconds_to_wait(f"{throttle.name}:{throttle.of_user(owner_id)}", throttle.limit(), throttle.seconds)


@functools.cache
def _client() -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        settings.REDIS_URL,
        max_connections=16,
        timeout=ANSWER_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # once: a connection the server closed while idle is not a fault
        protocol=2,
    )
    return redis.Redis(connection_pool=pool)


@functools.cache
def _script() -> Script:
    return _client().register_script((Path(__file__).parent / "throttle.lua").read_text())
