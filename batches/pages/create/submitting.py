"""The start button: a form that is sent twice starts one batch."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from batches import idempotency
from batches.files import discard_files
from batches.idempotency import Reply
from batches.options import NewBatch
from batches.submission import submit_batch

Build = Callable[[int, Mapping[str, Any]], NewBatch]


def new_token() -> str:
    """What tells one form from another: a form that is opened anew may start the same again."""
    return secrets.token_urlsafe(16)


def submit_once(owner_id: int, *, place: str, token: str, body: Mapping[str, Any], build: Build) -> str:
    """Build and submit, and return the batch's id; of the same form with the same content the one of its first time.

    Raises :class:`InvalidInput`, and then nothing is stored.
    """
    content = json.dumps(body, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    key = f"form-{token[:64]}-{hashlib.sha256(content).hexdigest()}"
    once = idempotency.Request.of(owner_id=owner_id, key=key, path=place, body=None)
    if earlier := idempotency.earlier_reply(once):
        return str(earlier.body["batchId"])
    new = build(owner_id, body)
    submitted = False
    try:
        reply = idempotency.reply_once(once, lambda: _submit(owner_id, new))
        submitted = not reply.replayed
    finally:
        if not submitted:
            discard_files(owner_id, new.stored_files)
    return str(reply.body["batchId"])


def _submit(owner_id: int, new: NewBatch) -> Reply:
    return Reply(202, {"batchId": submit_batch(owner_id=owner_id, new=new).public_id})
