"""What is done for the records while nobody waits."""

from __future__ import annotations

import logging

from celery import shared_task

from records import activity, words

logger = logging.getLogger(__name__)


@shared_task(name="records.sweep", ignore_result=True)
def sweep() -> None:
    """Forget old activity, and words that no record holds any more; runs every night, and twice does no harm."""
    logger.info("Swept %d activities, %d words", activity.sweep_old(), words.sweep_unused())
