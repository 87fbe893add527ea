"""What is forgotten by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from batches.models import IdempotentReply, Worker
from batches.tasks import sweep_expired
from batchsite.celery import app

pytestmark = pytest.mark.django_db


def test_old_replies_and_dead_workers_are_forgotten_and_fresh_ones_kept() -> None:
    owner = get_user_model().objects.create(username="alice")
    for key, hours in (("old", 25), ("fresh", 23)):
        reply = IdempotentReply.objects.create(owner=owner, key=key, fingerprint="", status_code=202, body={})
        IdempotentReply.objects.filter(pk=reply.pk).update(created_at=Now() - timedelta(hours=hours))
    for boot_id, minutes in (("dead", 61), ("alive", 1)):
        Worker.objects.create(boot_id=boot_id, hostname="here", process_id=1)
        Worker.objects.filter(pk=boot_id).update(seen_at=Now() - timedelta(minutes=minutes))

    sweep_expired()

    assert list(IdempotentReply.objects.values_list("key", flat=True)) == ["fresh"]
    assert list(Worker.objects.values_list("pk", flat=True)) == ["alive"]


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
