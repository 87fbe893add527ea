"""Imports, exports and cleanups over the API, in the real engine: files go in by the door and come out of it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from batches.models import ApiKey, Batch
from records.models import Record
from tests.engine_fixture import Engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]

DEADLINE_SECONDS = 60
ROWS = 1_200


@pytest.fixture(autouse=True)
def media(engine: Engine, settings: Any) -> None:
    """Worker and test keep files in the same folder."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"


class Door:
    """The API as one user knows it."""

    def __init__(self, name: str) -> None:
        self.user = User.objects.create_user(name)
        _, secret = ApiKey.issue(owner_id=self.user.pk, name="test")
        self._client = Client(headers={"Authorization": f"Bearer {secret}"})

    def create(self, status: int = 202, **body: Any) -> Any:
        response = self._client.post("/api/batch/create", json.dumps(body), content_type="application/json")
        assert response.status_code == status, response.content
        return response.json()

    def done(self, **body: Any) -> dict[str, Any]:
        """The batch's shape when it is over."""
        public_id = self.create(**body)["batch"]["id"]
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            batch: dict[str, Any] = self._client.get(f"/api/batch/{public_id}").json()["batch"]
            if batch["status"] in ("completed", "failed"):
                return batch
            assert time.monotonic() < until, batch
            time.sleep(0.1)

    def upload(self, name: str, content: bytes) -> str:
        response = self._client.post("/api/files", {"file": SimpleUploadedFile(name, content)})
        assert response.status_code == 201
        file_id: str = response.json()["fileId"]
        return file_id

    def download(self, file_id: str) -> bytes:
        content: bytes = self._client.get(f"/api/files/{file_id}").getvalue()
        return content


def csv_of(rows: Sequence[Sequence[object]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";").writerows(rows)
    return buffer.getvalue().encode("utf-8-sig")


def test_a_file_goes_in_and_another_comes_out() -> None:
    alice, bob = Door("alice"), Door("bob")
    rows = [[f"k{number}", f"Invoice {number}", "Pay.", "pending", "high" if number == 700 else "0.5", "=SUM(A1)"]
            for number in range(ROWS)]  # fmt: skip
    upload = alice.upload("invoices.csv", csv_of([["Key", "Title", "Content", "Status", "Quality", "Category"], *rows]))

    asked = {"operation": "import", "fileId": upload, "defaults": {"kind": "node"}}
    preview = alice.create(status=200, dryRun=True, **asked)["preview"]
    assert (preview["total"], preview["failedRows"]) == (ROWS, 1)
    assert preview["problems"][0]["row"] == 702
    assert not Record.objects.exists()

    batch = alice.done(**asked)
    assert (batch["status"], batch["total_items"]) == ("completed", 3)
    outcome = batch["outcome"]
    assert (outcome["rows"], outcome["created"], outcome["failed"]) == (ROWS, ROWS - 1, 1)
    errors = list(csv.reader(io.StringIO(alice.download(outcome["files"][0]["fileId"]).decode())))
    assert errors[1][:3] == ["702", "Quality", "invalid_type"]
    assert Record.objects.filter(owner=alice.user, kind="node", metadata={"Category": "=SUM(A1)"}).count() == ROWS - 1

    again = alice.done(**asked)
    assert (again["outcome"]["created"], again["outcome"]["updated"]) == (0, ROWS - 1)

    for form in ("xlsx", "csv", "json", "jsonl"):
        exported = alice.done(operation="export", format=form, filters={"status": "pending"})
        assert exported["status"] == "completed", exported
        assert exported["outcome"]["rows"] == ROWS - 1
        [file] = exported["outcome"]["files"]
        content = alice.download(file["fileId"])
        taken = bob.done(operation="import", fileId=bob.upload(file["name"], content))
        assert taken["outcome"]["created" if form == "xlsx" else "updated"] == ROWS - 1, taken
    compared = ("key", "title", "content", "status", "kind", "quality", "metadata")
    hers, his = (Record.objects.filter(owner=door.user).order_by("key").values_list(*compared) for door in (alice, bob))
    assert list(hers) == list(his)

    old = {"operation": "cleanup", "filters": {"status": "pending"}, "olderThanDays": 0}
    assert alice.create(status=200, dryRun=True, **old)["preview"]["total"] == ROWS - 1
    assert alice.done(**old)["outcome"] == {"deleted": ROWS - 1}
    assert not Record.objects.filter(owner=alice.user).exists()
    assert Record.objects.filter(owner=bob.user).count() == ROWS - 1


def test_a_file_that_cannot_be_read_makes_no_batch() -> None:
    alice = Door("alice")
    answer = alice.create(status=400, operation="import", fileId=alice.upload("a.csv", b'content\n"open'))
    assert answer["details"]["errors"][0]["code"] == "broken_quotes"
    assert not Batch.objects.exists()
