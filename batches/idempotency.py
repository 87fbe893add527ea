"""``Idempotency-Key``: doing a create twice under one key does it once and gives the same answer twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from batches.models import IdempotentReply
from batches.problems import Conflict, InvalidInput, Problem

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """What a create answers."""

    status_code: int
    body: Mapping[str, Any]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One create under a key. The fingerprint tells whether the same thing was asked for."""

    owner_id: int
    key: str
    fingerprint: str

    @classmethod
    def of(cls, *, owner_id: int, key: str, path: str, body: Any) -> Request:
        """Raises :class:`InvalidInput` for a key that cannot be one. Key order in the body makes no difference."""
        if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            message = f"Must have 1 to {LONGEST_KEY} printable characters."
            raise InvalidInput([Problem("Idempotency-Key", message, "invalid_key")])
        content = json.dumps([path.rstrip("/"), body], sort_keys=True, separators=(",", ":"))
        return cls(owner_id, key, hashlib.sha256(content.encode()).hexdigest())


def earlier_reply(request: Request) -> Reply | None:
    """The answer given before, if any. Raises :class:`Conflict` where the key was used for something else."""
    stored = IdempotentReply.objects.filter(owner_id=request.owner_id, key=request.key).first()
    if stored is None:
        return None
    if stored.fingerprint != request.fingerprint:
        raise Conflict("This Idempotency-Key was used for another request.")
    return Reply(stored.status_code, stored.body, replayed=True)


def reply_once(request: Request, act: Callable[[], Reply]) -> Reply:
    """Do it and store its answer in one transaction, or give the answer of whoever did it first.

    The row is written first: of two requests at the same time the second waits for the first at the unique
    constraint, and goes on by itself only if the first was rolled back.
    """
    try:
        with transaction.atomic():
            row = IdempotentReply.objects.create(
                owner_id=request.owner_id, key=request.key, fingerprint=request.fingerprint, status_code=0, body={}
            )
            reply = act()
            row.status_code, row.body = reply.status_code, dict(reply.body)
            row.save(update_fields=["status_code", "body"])
            return reply
    except IntegrityError:
        earlier = earlier_reply(request)
        if earlier is None:
            raise
        return earlier
