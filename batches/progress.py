"""Progress on its way out of this process: latest only, at most ten messages a second per batch, never in the way.

Whoever changes a batch hands its facts to :func:`announce`; a thread of its own publishes them (a greenlet in the
workers, whose ``threading`` is patched). A message that cannot be published is dropped: watchers read the database
when they connect and again every few seconds, so a lost message costs freshness and nothing else.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import redis

from batches.connections import PROGRESS_CHANNEL, redis_client

if TYPE_CHECKING:
    from batches.models import Batch

logger = logging.getLogger(__name__)

PUBLISH_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What a progress message says of a batch. Counts are exact; times are epoch seconds."""

    pk: int
    id: str
    owner_id: int
    operation: str
    name: str
    subject: str
    provider: str
    status: str
    total: int
    succeeded: int
    failed: int
    cancelled: int
    unknown: int
    started_at: float | None
    completed_at: float | None
    notify: bool = False
    """Whether its owner asked to be told when it is over."""

    @property
    def finished(self) -> int:
        """How many items are final."""
        return self.succeeded + self.failed + self.cancelled + self.unknown

    @classmethod
    def of(cls, batch: Batch) -> BatchFacts:
        """The facts of a row as it was read."""
        return cls(
            pk=batch.pk,
            id=batch.public_id,
            owner_id=batch.owner_id,
            operation=batch.operation,
            name=batch.name,
            subject=batch.subject,
            provider=batch.provider,
            status=batch.status,
            total=batch.total,
            succeeded=batch.succeeded,
            failed=batch.failed,
            cancelled=batch.cancelled,
            unknown=batch.unknown,
            started_at=batch.started_at.timestamp() if batch.started_at else None,
            completed_at=batch.completed_at.timestamp() if batch.completed_at else None,
            notify=batch.notify_on_complete,
        )


FACT_COLUMNS = """
    batch.id, batch.public_id, batch.owner_id, batch.operation, batch.name, batch.subject, batch.provider,
    batch.status, batch.total, batch.succeeded, batch.failed, batch.cancelled, batch.unknown,
    EXTRACT(EPOCH FROM batch.started_at)::float8, EXTRACT(EPOCH FROM batch.completed_at)::float8,
    batch.notify_on_complete
"""
"""What a statement on ``batches_batch AS batch`` returns to make a :class:`BatchFacts` of."""


class Publisher:
    """The latest facts of each batch, published by one background thread."""

    def __init__(self) -> None:
        self._latest: dict[tuple[int, str], tuple[str, BatchFacts]] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def announce(self, event: str, facts: BatchFacts) -> None:
        """Publish soon; replaces what was waiting for the same batch and event."""
        with self._lock:
            self._latest[facts.pk, event] = (event, facts)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
                self._thread.start()
        self._wake.set()

    def flush(self) -> None:
        """Publish what waits, now, in the caller's thread."""
        with self._lock:
            waiting, self._latest = list(self._latest.values()), {}
        if not waiting:
            return
        try:
            pipeline = redis_client().pipeline(transaction=False)
            for event, facts in waiting:
                message = {"event": event, "at": time.time(), **asdict(facts)}
                pipeline.publish(PROGRESS_CHANNEL, json.dumps(message, separators=(",", ":")))
            pipeline.execute()
        except redis.RedisError as error:
            logger.warning("Progress of %d batches was not published: %s", len(waiting), type(error).__name__)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self.flush()
            time.sleep(PUBLISH_INTERVAL_SECONDS)


publisher = Publisher()
