"""The Celery tasks: shims over what does the work."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import InterfaceError, OperationalError

from batches import finishing, retention
from batches.economy import stepping
from batches.running.engine import engine
from batches.text_messages import lookups

logger = logging.getLogger(__name__)

PURGE_SECONDS = 45.0
LOOK_UP_SECONDS = 45.0


# Only faults of our own infrastructure, and only before the lease is accepted; an item's retries live in Postgres.
@shared_task(
    name="batches.run_lease",
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=1,
    retry_backoff_max=8,
    retry_jitter=True,
    max_retries=4,
    ignore_result=True,
)
def run_lease(lease_id: int) -> None:
    """Accept a lease and start its items."""
    engine().run_lease(lease_id)


@shared_task(name="batches.finish_batch", ignore_result=True)
def finish_batch(batch_id: int) -> None:
    """Make what is to be made of all of a batch's items; the dispatcher rings again until it is done."""
    finishing.finish_batch(batch_id)


@shared_task(name="batches.advance_provider_batch", ignore_result=True)
def advance_provider_batch(provider_batch_id: int) -> None:
    """Take the next step of a batch at its provider; the dispatcher rings again until it is done."""
    stepping.advance(provider_batch_id, engine().runner.stopping.is_set)


@shared_task(name="batches.look_up_doubts", ignore_result=True)
def look_up_doubts() -> None:
    """Ask providers about messages in doubt; runs every minute, for most of a minute at most."""
    if settled := lookups.look_up_doubts(LOOK_UP_SECONDS):
        logger.info("Settled %d messages by their providers' lists", settled)


@shared_task(name="batches.purge_deleted", ignore_result=True)
def purge_deleted() -> None:
    """Take the rows of deleted batches away; runs every minute, for most of a minute at most."""
    if purged := retention.purge_deleted(PURGE_SECONDS):
        logger.info("Purged %d deleted batches", purged)


@shared_task(name="batches.sweep_expired", ignore_result=True)
def sweep_expired() -> None:
    """Forget what has expired; runs every hour, and running twice does no harm."""
    logger.info("Swept %s", retention.sweep_expired())
