"""The last step of batches whose operation makes something of all its items: a file, a summary.

When the last item is final the batch gets ``finish_due_at`` and stays running. The dispatcher then rings a worker,
again and again until it is done; a worker claims the batch for as long as it keeps renewing, calls the operation, and
settles the batch by one conditional UPDATE that its claim guards. Whatever dies, the claim lapses and another worker
starts over; a batch whose failed items are retried meanwhile loses the claim, and what was made of it is void.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from batches.dispatching.settle import STATUS_BY_ITEMS
from batches.logs.fields import bind
from batches.models import Batch
from batches.notifications import notify_settled
from batches.operations import CannotFinish, get_operation
from batches.progress import FACT_COLUMNS, BatchFacts, publisher

logger = logging.getLogger(__name__)

RING_AGAIN_SECONDS = 15
"""A batch that was rung for and that no worker claimed is rung for again after so long."""
CLAIM_SECONDS = 30
RENEW_SECONDS = 8.0
MOST_ATTEMPTS = 5
LONGEST_MESSAGE = 1_000
GAVE_UP = "What was to be made of all its items could not be made."

_RING = f"""
    WITH due AS (
        SELECT id FROM batches_batch
         WHERE settled_at IS NULL AND loaded_at IS NOT NULL AND finishes AND status IN ('running', 'paused')
           AND succeeded + failed + cancelled + unknown = total
           AND (finish_due_at IS NULL OR finish_due_at <= clock_timestamp())
         ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
    )
    UPDATE batches_batch AS batch
       SET finish_due_at = clock_timestamp() + interval '{RING_AGAIN_SECONDS} seconds', finish_claim = NULL,
           finish_attempts = finish_attempts + CASE WHEN finish_claim IS NULL THEN 0 ELSE 1 END
      FROM due WHERE batch.id = due.id
    RETURNING batch.id
"""


def ring() -> list[int]:
    """The batches that a worker is to finish now: newly due, or whose last try was lost."""
    with connection.cursor() as cursor:
        cursor.execute(_RING)
        return [row[0] for row in cursor.fetchall()]


_HELD = "settled_at IS NULL AND status IN ('running', 'paused') AND finish_due_at IS NOT NULL"
_CLAIM = f"""
    UPDATE batches_batch
       SET finish_claim = %s, finish_due_at = clock_timestamp() + interval '{CLAIM_SECONDS} seconds'
     WHERE id = %s AND finish_claim IS NULL AND {_HELD}
"""
_RENEW = f"""
    UPDATE batches_batch SET finish_due_at = clock_timestamp() + interval '{CLAIM_SECONDS} seconds'
     WHERE id = %s AND finish_claim = %s AND {_HELD}
"""
_AGAIN = f"""
    UPDATE batches_batch
       SET finish_claim = NULL, finish_attempts = finish_attempts + 1,
           finish_due_at = clock_timestamp() + power(2, finish_attempts + 1) * interval '1 second'
     WHERE id = %s AND finish_claim = %s AND {_HELD}
"""
_END = f"""
    UPDATE batches_batch AS batch
       SET settled_at = clock_timestamp(), completed_at = clock_timestamp(), finish_claim = NULL,
           outcome = %s::jsonb, error = %s, status = CASE WHEN %s THEN 'failed' ELSE {STATUS_BY_ITEMS} END
     WHERE id = %s AND finish_claim = %s AND {_HELD}
       AND succeeded + failed + cancelled + unknown = total
    RETURNING {FACT_COLUMNS}
"""


def finish_batch(batch_id: int) -> None:
    """Finish one batch, unless another worker does or there is nothing to finish any more."""
    claim = uuid.uuid4()
    if not _change(_CLAIM, claim, batch_id):
        return
    batch = Batch.objects.get(pk=batch_id)
    bind(batch=batch.public_id)
    if batch.finish_attempts >= MOST_ATTEMPTS:  # it ended its workers
        _end(batch_id, claim, None, GAVE_UP)
        return
    try:
        with _renewed(batch_id, claim):
            outcome = _document(get_operation(batch.operation).finish(batch))
    except CannotFinish as reason:
        _end(batch_id, claim, None, str(reason)[:LONGEST_MESSAGE])
    except (OperationalError, InterfaceError):
        raise  # the database's fault: the claim lapses, and somebody starts over
    except Exception as error:
        # The kind alone: the message may quote what an item holds.
        logger.error("Batch %s: finishing it failed: %s", batch.public_id, type(error).__name__)
        _change(_AGAIN, batch_id, claim)
    else:
        _end(batch_id, claim, outcome, "")


def _document(outcome: Mapping[str, Any]) -> str:
    return json.dumps(dict(outcome), allow_nan=False)


def _end(batch_id: int, claim: uuid.UUID, outcome: str | None, error: str) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_END, [outcome, error, bool(error), batch_id, claim])
            facts = [BatchFacts(*row) for row in cursor.fetchall()]
        notify_settled([fact.pk for fact in facts])
    for fact in facts:
        publisher.announce("completed", fact)


def _change(statement: str, *parameters: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return bool(cursor.rowcount)


@contextmanager
def _renewed(batch_id: int, claim: uuid.UUID) -> Iterator[None]:
    """Keep the claim while the block runs; a thread of its own does it, a greenlet in the workers."""
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(batch_id, claim, done), name="finish-claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(batch_id: int, claim: uuid.UUID, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS):
        try:
            if not _change(_RENEW, batch_id, claim):
                return  # void: cancelled, retried, or taken for dead
        except Error as error:
            logger.warning("A claim was not renewed: %s", type(error).__name__)
        finally:
            connection.close()
