"""``/healthz``: this process lives. ``/readyz``: the whole system can run a batch now."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from batches.dispatching.concerns import current_concerns
from batches.models import Worker, WorkerRole
from batches.models.engine import SEEN_WITHIN

DATABASE_SECONDS = 2.0
REDIS_SECONDS = 1.0
OK, DOWN, MISSING = "ok", "down", "missing"

# One thread: a frozen database holds up one probe, and those after it are answered all the same, in time.
_prober = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readyz")


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all; asks nobody else."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database and Redis answer and a worker and a dispatcher were seen lately, else 503.

    ``warnings``: what the dispatcher is concerned about; they make nothing unready.
    """
    seen = _seen()
    roles = frozenset() if seen is None else seen.roles
    parts = {
        "database": DOWN if seen is None else OK,
        "redis": OK if _redis_answers() else DOWN,
        "worker": OK if WorkerRole.WORKER in roles else MISSING,
        "dispatcher": OK if WorkerRole.DISPATCHER in roles else MISSING,
    }
    ready = all(part == OK for part in parts.values())
    warnings = [] if seen is None else seen.warnings
    return JsonResponse({"ready": ready, **parts, "warnings": warnings}, status=200 if ready else 503)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the database says: the roles seen lately, and the dispatcher's concerns without names of batches."""

    roles: frozenset[str]
    warnings: list[dict[str, Any]]


def _seen() -> Seen | None:
    """By the database's clock; ``None`` when it does not answer."""
    try:
        return _prober.submit(_query).result(timeout=DATABASE_SECONDS)
    except (DatabaseError, TimeoutError):
        return None


def _query() -> Seen:
    try:
        seen = Worker.objects.filter(seen_at__gte=Now() - SEEN_WITHIN)
        roles = frozenset(seen.order_by().values_list("role", flat=True).distinct())
        concerns = current_concerns()
        return Seen(roles, [{"kind": each.kind, "lane": each.lane, "seconds": each.seconds} for each in concerns])
    finally:
        connection.close()


def _redis_answers() -> bool:
    try:
        return bool(_redis(settings.REDIS_URL).ping())
    except redis.RedisError:
        return False


@functools.cache
def _redis(url: str) -> redis.Redis:
    """A client of its own: the shared one may be waiting for a connection while all of them are in use."""
    return redis.Redis.from_url(
        url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
        protocol=2,
    )
