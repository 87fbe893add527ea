"""Creates that come twice because the client did not hear the first answer.

The memory service's client repeats every POST after a timeout, without an ``Idempotency-Key``. So the same body by the
same key within two minutes gets the first answer: long enough for the client's last try (three pauses and three
timeouts of 30 s), short enough that nobody means to store the same thing twice. It holds only while the first one is
still as it was created: whoever deleted or changed it, and then creates it again, did hear the answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models.functions import Now

from batches.models import IdempotentReply

WINDOW = timedelta(minutes=2)

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A create, by who asks, where, and for what."""

    owner_id: int
    key: str

    @classmethod
    def of(cls, *, owner_id: int, credential: str, path: str, body: Mapping[str, Any]) -> Repeatable:
        """``credential`` names the API key: two programs of one owner may well create the same."""
        content = json.dumps([credential, path.rstrip("/"), body], sort_keys=True, separators=(",", ":"))
        return cls(owner_id, f"repeat:{hashlib.sha256(content.encode()).hexdigest()}")


def create_once(
    request: Repeatable,
    create: Callable[[], Made],
    id_of: Callable[[Made], str],
    unchanged: Callable[[str], Made | None],
) -> Made:
    """Create, or give what the same request created a moment ago. ``unchanged`` finds it by its id, if it still is."""
    with transaction.atomic():
        _wait_for_the_same(request)
        rows = IdempotentReply.objects.filter(owner_id=request.owner_id, key=request.key)
        recent = rows.filter(created_at__gt=Now() - WINDOW).first()
        if recent is not None and (earlier := unchanged(recent.body["id"])) is not None:
            return earlier
        made = create()
        rows.update_or_create(
            owner_id=request.owner_id,
            key=request.key,
            defaults={"fingerprint": "", "status_code": 201, "body": {"id": id_of(made)}, "created_at": Now()},
        )
        return made


def _wait_for_the_same(request: Repeatable) -> None:
    """Of two at the same time the second waits until the first is committed, and then finds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"records:{request.owner_id}:{request.key}"]
        )
