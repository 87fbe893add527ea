"""What is forgotten by itself, and when."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models.functions import Now

from batches import services, usage
from batches.files import FileMissing, delete_file, stored_path
from batches.models import Batch, IdempotentReply, Notification, StoredFile, Worker
from batches.problems import Conflict
from batches.text_messages import opt_outs, receipts

ORPHAN_HOURS = 1
"""A file that was stored for a batch waits so long for it; a submit takes seconds."""
ORPHANS_AT_ONCE = 500
REPLY_HOURS = 24
"""An ``Idempotency-Key`` is honoured for a day."""
WORKER_HOURS = 1
NOTIFICATION_DAYS = 90
PURGED_AT_ONCE = 5_000


def sweep_expired() -> dict[str, int]:
    """Delete old replies, rows of processes that died without a farewell, and ended sessions; returns how many."""
    replies, _ = IdempotentReply.objects.filter(created_at__lt=Now() - timedelta(hours=REPLY_HOURS)).delete()
    workers, _ = Worker.objects.filter(seen_at__lt=Now() - timedelta(hours=WORKER_HOURS)).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=Now()).delete()
    told, _ = Notification.objects.filter(created_at__lt=Now() - timedelta(days=NOTIFICATION_DAYS)).delete()
    return {
        "replies": replies,
        "workers": workers,
        "sessions": sessions,
        "notifications": told,
        "receipts": receipts.sweep_old(),
        "contacts": opt_outs.forget_contacts(),
        "batches": give_up_old_batches(),
        "files": sweep_orphaned_files(),
        "uploads": sweep_old_uploads(),
    }


def give_up_old_batches() -> int:
    """Everybody's batches that are older than ``BATCH_RETENTION_DAYS``; returns how many."""
    old = Batch.objects.all().over_since(settings.BATCH_RETENTION_DAYS)
    given_up = 0
    for owner_id in sorted(set(old.values_list("owner_id", flat=True))):
        given_up += services.cleanup_old_batches(settings.BATCH_RETENTION_DAYS, owner_id=owner_id, actor_id=None)
    return given_up


def purge_deleted(seconds: float) -> int:
    """Take the rows of deleted batches away for so long, in committed chunks; returns how many batches went.

    What they did stays counted in :class:`Usage`: folded in with the last of their rows, so each batch counts once.
    """
    ends = time.monotonic() + seconds
    purged = 0
    while time.monotonic() < ends:
        batch_id = Batch.objects.filter(deleted_at__isnull=False).order_by("id").values_list("pk", flat=True).first()
        if batch_id is None:
            break
        if not _purge_items(batch_id):
            purged += _purge_batch(batch_id)
    return purged


_PURGE_ITEMS = """
    WITH chosen AS MATERIALIZED (
        SELECT id FROM batches_item WHERE batch_id = %s ORDER BY position LIMIT %s
    ), errors AS (
        DELETE FROM batches_itemerror WHERE item_id IN (SELECT id FROM chosen)
    )
    DELETE FROM batches_item WHERE id IN (SELECT id FROM chosen)
"""


def _purge_items(batch_id: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PURGE_ITEMS, [batch_id, PURGED_AT_ONCE])
        return int(cursor.rowcount)


@transaction.atomic
def _purge_batch(batch_id: int) -> int:
    batch = Batch.objects.select_for_update().filter(pk=batch_id, deleted_at__isnull=False).first()
    if batch is None:
        return 0
    usage.keep(batch)
    batch.delete()
    return 1


def sweep_old_uploads() -> int:
    """Delete uploads older than ``FILE_RETENTION_DAYS``; returns how many.

    Not those that a batch is made of, and none of an owner who has a batch that is not done: its items may name them.
    """
    busy = Batch.objects.filter(settled_at__isnull=True).values("owner")
    sources = Batch.objects.filter(source__isnull=False).values("source")
    old = StoredFile.objects.filter(
        for_batch=False, created_at__lt=Now() - timedelta(days=settings.FILE_RETENTION_DAYS)
    )
    swept = 0
    for owner_id, public_id in old.exclude(owner__in=busy).exclude(pk__in=sources).values_list("owner_id", "public_id"):
        with suppress(Conflict, FileMissing):  # of a batch, or gone, since
            delete_file(owner_id, public_id, actor_id=None)
            swept += 1
    return swept


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
