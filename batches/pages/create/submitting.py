"""The start button: a form that is sent twice starts one batch, and forms count with the API's creates."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from batches import idempotency
from batches.api.throttling import seconds_until_create
from batches.files import discard_files
from batches.idempotency import Reply
from batches.options import NewBatch
from batches.submission import submit_batch

Build = Callable[[int, Mapping[str, Any]], NewBatch]


class TooManyBatches(Exception):
    """As many were started within a minute as are allowed; the message is for people."""

    def __init__(self, seconds: float) -> None:
        wait = math.ceil(seconds)
        super().__init__(
            "Nothing was started: you have started as many batches as are allowed within a minute."
            f" Press the button again in {wait} second{'' if wait == 1 else 's'}."
        )


def new_token() -> str:
    """What tells one form from another: a form that is opened anew may start the same again."""
    return secrets.token_urlsafe(16)


def submit_once(owner_id: int, *, place: str, token: str, body: Mapping[str, Any], build: Build) -> str:
    """Build and submit, and return the batch's id; of the same form with the same content the one of its first time.

    Raises :class:`InvalidInput` or :class:`TooManyBatches`, and then nothing is stored.
    """
    content = json.dumps(body, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    key = f"form-{token[:64]}-{hashlib.sha256(content).hexdigest()}"
    once = idempotency.Request.of(owner_id=owner_id, key=key, path=place, body=None)
    if earlier := idempotency.earlier_reply(once):
        return str(earlier.body["batchId"])
    new = build(owner_id, body)
    submitted = False
    try:
        count_create(owner_id)
        reply = idempotency.reply_once(once, lambda: _submit(owner_id, new))
        submitted = not reply.replayed
    finally:
        if not submitted:
            discard_files(owner_id, new.stored_files)
    return str(reply.body["batchId"])


def count_create(owner_id: int) -> None:
    """Count a batch that is about to be made. Raises :class:`TooManyBatches`, and then it shall not be made."""
    if seconds := seconds_until_create(owner_id):
        raise TooManyBatches(seconds)


def _submit(owner_id: int, new: NewBatch) -> Reply:
    return Reply(202, {"batchId": submit_batch(owner_id=owner_id, new=new).public_id})
