"""The same batch once more, as a draft: items and options as they were, waiting until somebody starts it."""

from __future__ import annotations

from django.conf import settings

from batches.models import Batch, StoredFile
from batches.operations import operation_names
from batches.options import BatchOptions, Mode, NewBatch, NewItem
from batches.problems import Conflict
from batches.submission import submit_batch

COPY = " (again)"
LONGEST_NAME = 200


def clone(batch: Batch) -> Batch:
    """Submit it again for its owner, without starting it. Raises :class:`Conflict` where that cannot be done."""
    most = int(settings.BATCH_MAX_INLINE_ITEMS)
    if batch.loaded_at is None:
        raise Conflict("Its items are still being read: it can be copied when they are there.")
    if batch.total > most:
        raise Conflict(f"It has more than {most:,} items: submit its list again instead.")
    if batch.operation not in operation_names():
        raise Conflict("Its operation is not there any more.")
    if StoredFile.objects.filter(batch=batch, for_batch=True, is_result=False).exists():
        raise Conflict("Its files belong to it alone and go with it: submit them again instead.")
    rows = batch.items.order_by("position").values_list("key", "input")
    return submit_batch(
        owner_id=batch.owner_id,
        new=NewBatch(
            operation=batch.operation,
            provider=batch.provider,
            items=[NewItem(key, item_input) for key, item_input in rows.iterator(chunk_size=5_000)],
            parameters=batch.parameters,
            options=_options(batch),
            name=_name(batch),
            description=batch.description,
            subject=batch.subject,
            mode=Mode(name=batch.mode, retries=batch.economy_retries),
        ),
    )


def _options(batch: Batch) -> BatchOptions:
    """As the batch runs now, changed or not; but for its times, which have passed."""
    return BatchOptions(
        concurrency=batch.concurrency,
        rate_limit=batch.rate_limit,
        max_retries=batch.max_retries,
        retry_window_seconds=batch.retry_window_seconds,
        backoff_ms=batch.backoff_ms,
        timeout_ms=batch.timeout_ms,
        priority=batch.priority,
        auto_start=False,
        notify_on_complete=batch.notify_on_complete,
        when_unavailable=batch.when_unavailable,
        fallbacks=tuple(batch.fallbacks),
        max_cost=batch.max_cost,
    )


def _name(batch: Batch) -> str:
    name = batch.name or batch.operation.replace("_", " ")
    return name if name.endswith(COPY) else f"{name[: LONGEST_NAME - len(COPY)]}{COPY}"
