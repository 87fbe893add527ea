"""The Celery app: one queue per lane, and settings that avoid what was measured to go wrong.

Celery carries lease ids from the dispatcher to the workers and nothing else: no result, no countdown, no state.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging
from django.conf import settings
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")

from batches.connections import CELERY_PREFIX
from batches.states import LANES, SOLO_LANE

EXCHANGE = Exchange("batchsite", type="direct")
QUEUES = (*LANES, SOLO_LANE, "maintenance")

app = Celery("batchsite")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # The default of 10 makes a gevent worker fail its acks.
        "max_connections": 1000,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "retry_on_timeout": False,
        "global_keyprefix": CELERY_PREFIX,
        # A message is acknowledged when it is taken; what is lost then, the lease's expiry brings back.
        "visibility_timeout": 3600,
    },
    # A publish that fails is answered by releasing the lease, not by waiting.
    task_publish_retry=False,
    task_ignore_result=True,
    result_backend=None,
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    task_serializer="json",
    accept_content=["json"],
    # Each with a key of its own: queues without one would all receive every message.
    task_queues=[Queue(name, EXCHANGE, routing_key=name) for name in QUEUES],
    task_default_exchange=EXCHANGE.name,
    task_default_routing_key="maintenance",
    task_default_queue="maintenance",
    task_create_missing_queues=False,
    worker_send_task_events=True,
    task_send_sent_event=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    timezone="UTC",
    beat_schedule={
        "sweep-expired": {"task": "batches.sweep_expired", "schedule": crontab(minute="17")},
        "sweep-records": {"task": "records.sweep", "schedule": crontab(hour="3", minute="41")},
        "look-up-doubts": {"task": "batches.look_up_doubts", "schedule": crontab(), "options": {"expires": 60}},
        # A message that waited for workers longer than until the next one is worth nothing.
        "purge-deleted": {"task": "batches.purge_deleted", "schedule": crontab(), "options": {"expires": 60}},
    },
)


@setup_logging.connect
def leave_logging_alone(**_: Any) -> None:
    """Django's LOGGING holds for workers as well; Celery configures none of its own."""


app.autodiscover_tasks(["batches", "records"])
app.steps["worker"].add("batches.bootstep.EngineStep")
app.steps["consumer"].update(["batches.bootstep.GroupedEvents", "batches.bootstep.QuickGoodbye"])
