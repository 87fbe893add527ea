"""Publishing leases to Celery: one small message each, never waiting long, never trying again here."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

RUN_LEASE = "batches.run_lease"
"""The task by name: the dispatcher needs nothing of what runs it."""
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 5.0


class Publication:
    """A producer over one connection; after a failure it stays closed for a moment, then a little longer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._closed_until = 0.0
        self._pause = FIRST_PAUSE_SECONDS

    def is_open(self, now: float) -> bool:
        """Whether it is worth trying: claiming while Redis is down would only churn the ledger."""
        return now >= self._closed_until

    def publish(self, leases: Sequence[tuple[int, str]], now: float) -> list[int]:
        """Send a message per (lease id, lane); returns the ids that were not sent."""
        if not leases:
            return []
        for index, (lease_id, lane) in enumerate(leases):
            try:
                self._app.send_task(RUN_LEASE, args=[lease_id], queue=lane, retry=False, ignore_result=True)
            except (BrokerError, RedisError, OSError) as error:
                logger.warning("%d leases were not published: %s", len(leases) - index, type(error).__name__)
                self._closed_until = now + self._pause
                self._pause = min(LAST_PAUSE_SECONDS, self._pause * 2)
                return [lease_id for lease_id, _ in leases[index:]]
        self._pause = FIRST_PAUSE_SECONDS
        return []
