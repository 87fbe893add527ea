"""What is forgotten by itself, and when."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from batches.files import stored_path
from batches.models import IdempotentReply, StoredFile, Worker

ORPHAN_HOURS = 1
"""A file that was stored for a batch waits so long for it; a submit takes seconds."""
ORPHANS_AT_ONCE = 500
REPLY_HOURS = 24
"""An ``Idempotency-Key`` is honoured for a day."""
WORKER_HOURS = 1


def sweep_expired() -> dict[str, int]:
    """Delete old replies, rows of processes that died without a farewell, and ended sessions; returns how many."""
    replies, _ = IdempotentReply.objects.filter(created_at__lt=Now() - timedelta(hours=REPLY_HOURS)).delete()
    workers, _ = Worker.objects.filter(seen_at__lt=Now() - timedelta(hours=WORKER_HOURS)).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=Now()).delete()
    return {"replies": replies, "workers": workers, "sessions": sessions, "files": sweep_orphaned_files()}


def sweep_orphaned_files() -> int:
    """Delete files that were stored for a batch which never came, or has gone since; returns how many.

    A process that is killed between storing a batch's files and the batch leaves them behind. The bytes go first: a
    sweep that is cut off finds their rows again.
    """
    orphans = StoredFile.objects.filter(
        for_batch=True, batch__isnull=True, created_at__lt=Now() - timedelta(hours=ORPHAN_HOURS)
    )
    swept = 0
    while rows := list(orphans.order_by("created_at").values_list("pk", "owner_id", "public_id")[:ORPHANS_AT_ONCE]):
        for _, owner_id, public_id in rows:
            default_storage.delete(stored_path(owner_id, public_id))
        deleted, _ = StoredFile.objects.filter(pk__in=[row[0] for row in rows]).delete()
        swept += deleted
    return swept
