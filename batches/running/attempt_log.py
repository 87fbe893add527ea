"""A line per attempt that failed, for whoever runs the system: document 001's admin log. Users never see it."""

from __future__ import annotations

import logging

from batches.operations.photos.rate_photos import NAME as PHOTOS
from batches.running.changes import Change
from batches.running.leases import LeasedItem
from batches.states import ItemStatus
from batches.text_messages.masking import masked

logger = logging.getLogger("batches.attempts")

ENDED = frozenset({ItemStatus.FAILED, ItemStatus.UNKNOWN})


def note(operation: str, item: LeasedItem, change: Change, elapsed_seconds: float) -> None:
    """Log what became of an attempt that did not succeed: when it is tried again, or that it ended.

    The item is named by its key, which is masked where it is a phone number; a fault's message holds nothing secret.
    """
    if change.fault is None:
        return
    what = (
        f"Image {item.key}" if operation == PHOTOS else f"Item {masked(item.key) if 'to' in item.input else item.key}"
    )
    attempts = item.attempts + change.attempts
    if change.status in ENDED:
        logger.warning(
            "[BatchProcessor] %s failed permanently after %d attempts (%dms): %s",
            what,
            attempts,
            round(elapsed_seconds * 1000),
            change.fault.message,
        )
    else:
        logger.info(
            "[BatchProcessor] %s attempt %d failed: %s. Retrying in %dms",
            what,
            attempts,
            change.fault.message.rstrip("."),
            round(change.delay_seconds * 1000),
        )
