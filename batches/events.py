"""What happened to a batch, said once, to whoever watches."""

from __future__ import annotations

from batches.models import Batch
from batches.progress import BatchFacts, publisher


def announce_created(batch: Batch) -> None:
    """A batch was stored."""
    publisher.announce("created", BatchFacts.of(batch))


def announce_progress(batch: Batch) -> None:
    """A batch changed: its status or its counts."""
    publisher.announce("completed" if batch.is_final else "progress", BatchFacts.of(batch))
