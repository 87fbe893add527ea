"""The file a batch ends with: one of each name, whoever is killed while it is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from batches import retention
from batches.files import file_content
from batches.models import Batch, Notification, StoredFile
from batches.result_files import result_files, store_result
from tests.engine.ledger import assert_counters
from tests.engine_fixture import Engine
from tests.finishing.conftest import submit
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_result_replaces_the_one_of_the_same_name(alice: User) -> None:
    batch = submit(alice, 1)
    for content in (b"old", b"new"):
        store_result(batch, "report.csv", "text/csv", ContentFile(content))
    store_result(batch, "other.csv", "text/csv", ContentFile(b"other"))
    assert [(one.name, one.size, one.for_batch) for one in result_files(batch)] == [
        ("report.csv", 3, True),
        ("other.csv", 5, True),
    ]
    assert [file_content(alice.pk, one.public_id) for one in result_files(batch)] == [b"new", b"other"]
    assert sum(len(files) for _, _, files in _walk()) == 2


@pytest.mark.parametrize("killed_before", ["_put_in_place", "discard_files"])
def test_a_process_that_is_killed_while_it_keeps_a_result_leaves_nothing_that_nobody_finds(
    alice: User, monkeypatch: pytest.MonkeyPatch, killed_before: str
) -> None:
    batch = submit(alice, 1)
    store_result(batch, "report.csv", "text/csv", ContentFile(b"old"))
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(f"batches.result_files.{killed_before}", lambda *_: 1 / 0)
        store_result(batch, "report.csv", "text/csv", ContentFile(b"new"))

    (kept,) = result_files(batch)
    assert file_content(alice.pk, kept.public_id) == (b"new" if killed_before == "discard_files" else b"old")
    StoredFile.objects.update(created_at=Now() - timedelta(hours=2))
    assert retention.sweep_orphaned_files() == 1
    assert [name for _, _, files in _walk() for name in files] == [kept.public_id]
    assert list(result_files(batch)) == [kept]


def _walk() -> Iterator[Any]:
    return os.walk(default_storage.location)  # type: ignore[attr-defined]


def test_a_worker_killed_while_finishing_leaves_one_file(
    alice: User, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The first worker is killed in ``finish``; the next one starts over, and the batch is completed once."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"
    variables = {"DJANGO_SETTINGS_MODULE": "tests.scripted_settings"}
    with Engine(sandbox, tmp_path, **variables) as engine:
        engine.start(workers=1)
        batch = submit(alice, 30, finish=f"die once:{tmp_path / 'died'}", notifyOnComplete=True)
        deadline = time.monotonic() + 60
        while not (tmp_path / "died").exists():
            assert time.monotonic() < deadline, engine.output()
            time.sleep(0.05)
        engine.wait_until_seen(engine.start_worker())
        Batch.objects.filter(pk=batch.pk).update(finish_due_at="2020-01-01T00:00:00Z")  # rather than wait half a minute
        while Batch.objects.filter(pk=batch.pk, settled_at=None).exists():
            assert time.monotonic() < deadline, engine.output()
            time.sleep(0.05)
    batch.refresh_from_db()
    assert (batch.status, batch.succeeded, batch.failed, batch.finish_attempts) == ("completed", 29, 1, 1)
    (stored,) = result_files(batch)
    assert len(file_content(alice.pk, stored.public_id).splitlines()) == 30
    assert StoredFile.objects.count() == 1
    assert Notification.objects.count() == 1
    assert_counters(batch, succeeded=29, failed=1)
