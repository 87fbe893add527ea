"""How each part of the system reaches Redis: bounded pools, short timeouts, no hidden retries."""

from __future__ import annotations

import functools

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

PROGRESS_CHANNEL = f"{settings.REDIS_PREFIX}:progress"
"""The one pub/sub channel of progress messages."""
CELERY_PREFIX = f"{settings.REDIS_PREFIX}:celery:"
"""In front of every key of Celery's; a queue is a list of that name."""


@functools.cache
def redis_client() -> redis.Redis:
    """The process's client. A call fails within two seconds rather than waiting for a frozen server.

    The pool blocks at its bound: thousands of greenlets share it (a plain pool raises instead).
    """
    pool = redis.BlockingConnectionPool.from_url(
        settings.REDIS_URL,
        max_connections=32,
        timeout=2,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1),  # once: a connection the server closed while idle is not a fault
        protocol=2,
    )
    return redis.Redis(connection_pool=pool)
