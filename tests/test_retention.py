"""What is forgotten by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from batches import retention
from batches.files import Upload, keep_with_batch, store_uploads, stored_path
from batches.models import IdempotentReply, StoredFile, Worker
from batches.tasks import sweep_expired
from batchsite.celery import app
from tests.live.conftest import make_batch

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


def test_files_whose_batch_never_came_or_has_gone_are_swept_and_others_kept(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    owner = get_user_model().objects.create(username="alice")
    batch, deleted = make_batch(owner), make_batch(owner)

    def stored(name: str, *, hours: float, for_batch: bool = True) -> StoredFile:
        (row,) = store_uploads(owner.pk, [Upload(name, "image/jpeg", b"bytes")], for_batch=for_batch)
        StoredFile.objects.filter(pk=row.pk).update(created_at=Now() - timedelta(hours=hours))
        return row

    stored("uploaded", hours=1000, for_batch=False)
    stored("just now", hours=0.9)
    stored("never came", hours=1.1)
    keep_with_batch(batch, [stored("of a batch", hours=1000).public_id])
    keep_with_batch(deleted, [stored("of a deleted batch", hours=1000).public_id])
    lost = stored("of which the bytes are gone", hours=1.1)
    (tmp_path / stored_path(owner.pk, lost.public_id)).unlink()
    deleted.delete()

    assert retention.sweep_orphaned_files() == 3
    assert set(StoredFile.objects.values_list("name", flat=True)) == {"uploaded", "just now", "of a batch"}
    on_disk = {path.name for path in (tmp_path / str(owner.pk)).iterdir()}
    assert on_disk == set(StoredFile.objects.values_list("public_id", flat=True))
    assert retention.sweep_orphaned_files() == 0


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks


def test_old_uploads_are_swept_unless_a_batch_may_need_them(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.FILE_RETENTION_DAYS = 30
    idle, busy, loading = (get_user_model().objects.create(username=name) for name in ("idle", "busy", "loading"))
    make_batch(busy)
    for owner, name, days in ((idle, "old", 31), (idle, "young", 29), (busy, "needed", 31), (loading, "source", 31)):
        (row,) = store_uploads(owner.pk, [Upload(name, "text/plain", b"bytes")])
        StoredFile.objects.filter(pk=row.pk).update(created_at=Now() - timedelta(days=days))
    done = make_batch(loading)
    type(done).objects.filter(pk=done.pk).update(
        source=StoredFile.objects.get(name="source"), status="completed", completed_at=Now(), settled_at=Now()
    )

    assert retention.sweep_old_uploads() == 1
    assert set(StoredFile.objects.values_list("name", flat=True)) == {"young", "needed", "source"}
    assert len([path for path in tmp_path.rglob("file_*") if path.is_file()]) == 3
