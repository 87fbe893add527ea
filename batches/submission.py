"""Storing a batch with its items: one transaction, items by COPY."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

from django.db import connection, transaction
from django.db.models.functions import Now

from batches import audit, events
from batches.files import keep_with_batch
from batches.models import Batch
from batches.money.estimating.item_cost import item_cost_of_new
from batches.operations import get_operation
from batches.options import NewBatch, NewItem, Paged, Source
from batches.states import BatchStatus


def submit_batch(*, owner_id: int, new: NewBatch) -> Batch:
    """Store a validated batch and its items together and return it; either all of it exists or nothing.

    The items of a ``source`` follow: the dispatcher loads them in committed chunks, and they run meanwhile.
    It never waits on Redis: the dispatcher finds the batch in Postgres, and watchers are told after the commit by a
    thread of its own. A batch with ``auto_start`` and no schedule is running at once. Raises :class:`InvalidInput` for
    a budget where nothing has a price.
    """
    item_cost = None if new.options.max_cost is None else item_cost_of_new(owner_id, new)
    with transaction.atomic():
        batch = _create(owner_id, new, item_cost)
        copy_items(batch, new.items)
        keep_with_batch(batch, new.stored_files)
        audit.record("submit", batch, actor_id=owner_id, items=batch.total, operation=batch.operation)
        batch.refresh_from_db()
        transaction.on_commit(lambda: events.announce_created(batch))
    return batch


def _create(owner_id: int, new: NewBatch, item_cost: Decimal | None) -> Batch:
    options, operation, source = new.options, get_operation(new.operation), new.source
    starts_now = options.auto_start and options.scheduled_at is None and options.starts_at_once
    return Batch.objects.create(
        owner_id=owner_id,
        operation=new.operation,
        channel=operation.channel,
        provider=new.provider,
        name=new.name,
        description=new.description,
        subject=new.subject,
        mode=new.mode.name,
        economy_retries=new.mode.retries,
        deadline_at=new.mode.deadline,
        parameters=dict(new.parameters),
        warnings=list(new.warnings),
        status=BatchStatus.RUNNING if starts_now else BatchStatus.PENDING,
        priority=options.priority,
        auto_start=options.auto_start,
        scheduled_at=options.scheduled_at,
        concurrency=options.concurrency,
        rate_limit=options.rate_limit,
        max_retries=options.max_retries,
        retry_window_seconds=options.retry_window_seconds,
        backoff_ms=options.backoff_ms,
        timeout_ms=options.timeout_ms,
        max_cost=options.max_cost,
        item_cost=item_cost,
        total=source.number if source else len(new.items),
        source_id=source.file_id if isinstance(source, Source) else None,
        source_cursor=dict(source.start) if isinstance(source, Paged) else None,
        finishes=operation.finishes,
        notify_on_complete=options.notify_on_complete,
        when_unavailable=options.when_unavailable,
        fallbacks=list(options.fallbacks),
        loaded_at=None if source else Now(),
        started_at=Now() if starts_now else None,
    )


def copy_items(batch: Batch, items: Iterable[NewItem], *, first_position: int = 0) -> None:
    """Write items by COPY, some thirty times faster than INSERTs; inside the caller's transaction."""
    statement = (
        "COPY batches_item (batch_id, position, key, input, status, attempts, failures, deaths,"
        " provider_reference, error_category, error_code, error_message) FROM STDIN"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for position, item in enumerate(items, start=first_position):
            document = json.dumps(item.input, ensure_ascii=False)
            copy.write_row((batch.pk, position, item.key, document, "pending", 0, 0, 0, "", "", "", ""))
