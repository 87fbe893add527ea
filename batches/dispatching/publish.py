"""Publishing leases to Celery: one small message each, never waiting long, never trying again here."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from batches.connections import CELERY_PREFIX, redis_client

logger = logging.getLogger(__name__)

RUN_LEASE = "batches.run_lease"
"""The tasks by name: the dispatcher needs nothing of what runs them."""
FINISH_BATCH = "batches.finish_batch"
ADVANCE_PROVIDER_BATCH = "batches.advance_provider_batch"
MAINTENANCE = "maintenance"
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 5.0
MESSAGE_LOST_SECONDS = 3.0
"""A lease nobody accepted for so long, whose queue is empty, has lost its message: a flush, or a worker that died."""


class Publication:
    """A producer over one connection; after a failure it stays closed for a moment, then a little longer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._closed_until = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._sent_again: dict[int, float] = {}

    def is_open(self, now: float) -> bool:
        """Whether it is worth trying: claiming while Redis is down would only churn the ledger."""
        return now >= self._closed_until

    def publish(
        self, leases: Sequence[tuple[int, str]], now: float, *, task: str = RUN_LEASE, what: str = "leases"
    ) -> list[int]:
        """Send a message per (lease id, lane); returns the ids that were not sent."""
        if not leases:
            return []
        sent = 0
        try:
            redis_client().ping()  # fails within two seconds; Celery's own connection would try for six
            for lease_id, lane in leases:
                self._app.send_task(task, args=[lease_id], queue=lane, retry=False, ignore_result=True)
                sent += 1
        except (BrokerError, RedisError, OSError) as error:
            logger.warning("%d %s were not published: %s", len(leases) - sent, what, type(error).__name__)
            # From when it failed: a try may take longer than the pause.
            self._closed_until = max(now, time.monotonic()) + self._pause
            self._pause = min(LAST_PAUSE_SECONDS, self._pause * 2)
            return [lease_id for lease_id, _ in leases[sent:]]
        self._pause = FIRST_PAUSE_SECONDS
        return []

    def publish_finishes(self, batch_ids: Sequence[int], now: float) -> None:
        """Have these batches finished by a worker; one whose message is lost is rung for again."""
        self.publish([(batch_id, MAINTENANCE) for batch_id in batch_ids], now, task=FINISH_BATCH, what="finishes")

    def publish_steps(self, provider_batch_ids: Sequence[int], now: float) -> None:
        """Have a worker take the next step of these; one whose message is lost is rung for again."""
        rung = [(row_id, MAINTENANCE) for row_id in provider_batch_ids]
        self.publish(rung, now, task=ADVANCE_PROVIDER_BATCH, what="steps of provider batches")

    def publish_lost(self, unaccepted: Sequence[tuple[int, str]], now: float) -> None:
        """Send the message of old unaccepted leases once more where their queue is empty.

        Harmless when the first message still lives somewhere: a lease is accepted once. It saves the seconds until
        the lease would expire.
        """
        known = {lease_id for lease_id, _ in unaccepted}
        recently = now - MESSAGE_LOST_SECONDS
        self._sent_again = {key: at for key, at in self._sent_again.items() if key in known and at > recently}
        waiting = [lease for lease in unaccepted if lease[0] not in self._sent_again]
        try:
            empty = {lane for lane in {lane for _, lane in waiting} if not redis_client().llen(CELERY_PREFIX + lane)}
        except RedisError:
            return  # nothing can be sent now; the leases expire
        lost = [lease for lease in waiting if lease[1] in empty]
        failed = set(self.publish(lost, now))
        self._sent_again |= {lease_id: now for lease_id, _ in lost if lease_id not in failed}
