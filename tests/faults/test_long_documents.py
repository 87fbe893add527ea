"""A document that takes many calls, and workers that die between them: no answer that was kept is paid for again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.files import store_file
from batches.models import StoredFile
from batches.operations.long_texts import split
from tests.engine_fixture import Engine
from tests.faults.campaign import kill, wait_until, wait_until_closed
from tests.operations.files.long_documents import long_text
from tests.operations.submitted import submitted
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

PARTS = 10


def test_killed_workers_cost_a_long_document_one_call_each(
    sandbox: SandboxServer, engine: Engine, settings: Any
) -> None:
    settings.MEDIA_ROOT = f"{engine.environment['BATCHSITE_DATA']}/files"
    sandbox.configure(latency_ms=400)
    owner = User.objects.create_user("alice")
    text = long_text(PARTS)
    file = store_file(owner.pk, "long.txt", "text/plain", text.encode())
    payload = {"fileIds": [file.public_id], "instruction": "summarise", "rateLimit": 60_000}
    batch = submitted(owner.pk, "process_files", payload)

    for kills in range(1, 3):
        wait_until(lambda: len(answered(sandbox)) >= 3 * kills, "some parts", engine)  # noqa: B023 - called at once
        kill(engine, *engine.processes[1:])
        engine.wait_until_seen(engine.start_worker())
    wait_until_closed([batch], engine)

    item = batch.items.get()
    assert item.status == "succeeded", item.error_message
    calls = len(split(text)) + 1
    assert calls <= len(answered(sandbox)) <= calls + 2
    assert not StoredFile.objects.filter(batch=batch, is_result=False).exists()


def answered(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return [entry for entry in sandbox.log() if entry["accepted"]]
