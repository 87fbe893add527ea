"""Workers are killed while they import: every row is there once, and every count is right."""

from __future__ import annotations

import signal
import time
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection

from batches.files import Upload, store_uploads
from batches.models import Batch, Item
from batches.operations import get_operation
from batches.submission import submit_batch
from records.models import Record
from tests.engine_fixture import Engine

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

ROWS = 20_000
PATIENCE_SECONDS = 240.0


@pytest.fixture(autouse=True)
def media(engine: Engine, settings: Any) -> None:
    """Workers and test keep files in the same folder."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"


def wait_for(batch: Batch, *, items: int) -> None:
    """Until so many items are done."""
    until = time.monotonic() + PATIENCE_SECONDS
    while Item.objects.filter(batch=batch, status="succeeded").count() < items:
        assert time.monotonic() < until
        connection.close()
        time.sleep(0.02)


@pytest.mark.parametrize("keyed", [True, False])
def test_every_row_is_there_once(engine: Engine, keyed: bool) -> None:
    owner = User.objects.create_user("alice")
    rows = ({"content": f"row {number}", **({"key": f"k{number}"} if keyed else {})} for number in range(ROWS))
    content = ContentFile(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    upload = store_uploads(owner.pk, [Upload("rows.jsonl", "application/jsonl", content)])[0]
    batch = submit_batch(owner_id=owner.pk, new=get_operation("import").build(owner.pk, {"fileId": upload.public_id}))
    for items in (2, 8, 16):
        wait_for(batch, items=items)
        victim = engine.processes[1]
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        engine.processes.remove(victim)
        engine.wait_until_seen(engine.start_worker())
    until = time.monotonic() + PATIENCE_SECONDS
    while batch.settled_at is None:
        assert time.monotonic() < until, (batch.status, batch.succeeded, batch.total)
        connection.close()
        time.sleep(0.1)
        batch.refresh_from_db()
    assert batch.status == "completed"
    assert batch.outcome is not None
    assert {name: batch.outcome[name] for name in ("rows", "created", "updated", "failed", "unwritten")} == {
        "rows": ROWS,
        "created": ROWS,
        "updated": 0,
        "failed": 0,
        "unwritten": 0,
    }
    assert Record.objects.count() == ROWS == Record.objects.values("content").distinct().count()
