"""What a provider said of a batch, as it is kept in its row and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from batches.models import ProviderBatch
from batches.running.changes import encode
from batches.running.context import BatchContext
from providers.base import BatchProvider, RemoteBatch, RemoteState

OURS = frozenset({"cut", "refused_items", "foreign", "gone", "probe", "read"})
"""What we noted ourselves beside it."""


def fields_of(remote: RemoteBatch, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The row's fields; our own notes of ``before`` stay."""
    said: dict[str, Any] = {
        "state": remote.state.value,
        "total": remote.total,
        "finished": remote.finished,
        "detail": dict(remote.detail),
    }
    ours = {name: value for name, value in (before or {}).items() if name in OURS}
    return {"remote": {**ours, **json.loads(encode(said))}}


def remote_of(row: ProviderBatch) -> RemoteBatch:
    """As the adapter said it."""
    return RemoteBatch(
        id=row.remote_id,
        state=RemoteState(row.remote.get("state", RemoteState.WAITING)),
        total=row.remote.get("total"),
        finished=row.remote.get("finished"),
        detail=row.remote.get("detail", {}),
    )


def asked_provider(context: BatchContext) -> BatchProvider:
    """Whom the batch asks; that it has a batch API is checked when the step begins."""
    return cast(BatchProvider, context.provider)
