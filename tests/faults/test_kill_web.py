"""kill -9 of a web process within a submit: nothing half stored, and the client's second try does it once."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db.models.functions import Now

from batches.files import stored_path
from batches.models import ApiKey, AuditEntry, Batch, IdempotentReply, Item, StoredFile
from batches.retention import sweep_orphaned_files
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults import gate
from tests.faults.campaign import kill, owner, statuses, wait_until, wait_until_closed
from tests.faults.conftest import PROCESS_NAME
from tests.faults.gate import Gate, Point
from tests.sandbox_fixture import SandboxServer, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

IMAGES = 500
PIXEL = base64.b64encode(
    bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
).decode()


class Web:
    """A web process of the engine's stack, on a port of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.port = free_port()
        _, self.secret = ApiKey.issue(owner_id=owner().pk, name="test")

    def start(self) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--loop", "uvloop", "--lifespan", "off"]
        process = self.engine.start_other("-m", "uvicorn", "batchsite.asgi:application", *options)
        wait_until(self.answers, "the web server answers", self.engine, 30)
        return process

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self._call("GET", "/healthz", None)[0] == 200
        return False

    def submit(self) -> tuple[int, dict[str, Any], bool]:
        """Post photos, one of them inline, under a key; status, answer, and whether it was given before."""
        images = [{"id": f"p{n}", "url": f"https://example.com/{n}.jpg"} for n in range(IMAGES - 1)]
        images.append({"id": "inline", "url": f"data:image/gif;base64,{PIXEL}"})
        return self._call("POST", "/api/batch/process", {"shootId": "once", "images": images})

    def _call(self, method: str, path: str, content: Any) -> tuple[int, dict[str, Any], bool]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/json",
            "Idempotency-Key": "only-once",
        }
        with contextlib.closing(connection):
            connection.request(method, path, content and json.dumps(content), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.getheader("Idempotent-Replayed") == "true"


class Submission(threading.Thread):
    """A client that waits for an answer."""

    def __init__(self, web: Web) -> None:
        super().__init__(name="client")
        self.web = web
        self.answer: object = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answer = self.web.submit()
        except (OSError, http.client.HTTPException) as error:
            self.error = error


@pytest.mark.parametrize(
    ("point", "cut"),
    [(gate.BATCH, True), (gate.SUBMIT, True), (gate.SUBMIT, False), (gate.SUBMITTED, True), (gate.SUBMITTED, False)],
    ids=[
        "files stored, no batch",
        "items copied, cut off",
        "items copied, unheard",
        "commit never done",
        "commit done unheard",
    ],
)
def test_a_web_process_is_killed_within_a_submit(
    point: Point, cut: bool, sandbox: SandboxServer, tmp_path: Path
) -> None:
    stored = point == gate.SUBMITTED and not cut
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME) as engine:
        engine.start(workers=1)
        web = Web(engine)
        process = web.start()
        with Gate(engine.environment["DATABASE_URL"], point) as closed:
            client = Submission(web)
            client.start()
            wait_until(closed.waiting, "the submit at the gate", engine, 30)
            kill(engine, process)
            client.join(30)
            if cut:
                closed.cut()
        assert client.error is not None
        assert client.answer is None
        wait_until(lambda: Batch.objects.count() == stored, "the transaction ended", engine, 10)
        assert Item.objects.count() == (IMAGES if stored else 0)
        assert IdempotentReply.objects.count() == AuditEntry.objects.filter(action="submit").count() == stored

        web.start()
        status, answer, replayed = web.submit()
        assert (status, replayed) == (202, stored)
        assert web.submit() == (202, answer, True)
        batch = Batch.objects.get(public_id=answer["jobId"])
        wait_until_closed([batch], engine)
        assert statuses(batch) == {ItemStatus.SUCCEEDED: IMAGES}
        assert len(sandbox.log()) == IMAGES

        # What the killed one had stored beside it is swept; what the batch needs is kept.
        assert StoredFile.objects.count() == (1 if stored else 2)
        StoredFile.objects.update(created_at=Now() - timedelta(hours=2))
        assert sweep_orphaned_files() == (0 if stored else 1)
        (kept,) = StoredFile.objects.all()
        assert kept.batch == batch
        assert default_storage.exists(stored_path(kept.owner_id, kept.public_id))
