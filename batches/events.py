"""What happened to a batch, said once, to whoever watches."""

from __future__ import annotations

from collections.abc import Iterable

from batches.models import Batch
from batches.progress import BatchFacts, publisher
from batches.states import FINAL_BATCH_STATUSES


def announce_created(batch: Batch) -> None:
    """A batch was stored."""
    publisher.announce("created", BatchFacts.of(batch))


def announce_facts(facts: Iterable[BatchFacts]) -> None:
    """Batches changed, as their rows say now."""
    for fact in facts:
        publisher.announce("completed" if fact.status in FINAL_BATCH_STATUSES else "progress", fact)


def announce_progress(batch: Batch) -> None:
    """A batch changed: its status or its counts."""
    publisher.announce("completed" if batch.is_final else "progress", BatchFacts.of(batch))
