"""What is forgotten by itself, and when."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from batches.models import IdempotentReply, Worker

REPLY_HOURS = 24
"""An ``Idempotency-Key`` is honoured for a day."""
WORKER_HOURS = 1


def sweep_expired() -> dict[str, int]:
    """Delete old replies, rows of processes that died without a farewell, and ended sessions; returns how many."""
    replies, _ = IdempotentReply.objects.filter(created_at__lt=Now() - timedelta(hours=REPLY_HOURS)).delete()
    workers, _ = Worker.objects.filter(seen_at__lt=Now() - timedelta(hours=WORKER_HOURS)).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=Now()).delete()
    return {"replies": replies, "workers": workers, "sessions": sessions}
