"""Document 004's operations over the API, in the real engine, with the sandbox as the provider."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import ApiKey, Batch
from records.models import Record
from tests.engine_fixture import Engine
from tests.operations.local_run import record
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]

EXAMPLE = """
{
  "operation": "annotate",
  "filters": {
    "status": "pending",
    "category": "invoice"
  },
  "options": {
    "model": "gpt-4",
    "batchSize": 50,
    "retryAttempts": 3
  },
  "name": "Monthly invoice annotation",
  "description": "Annotate all pending invoices"
}
"""
"""As it stands in document 004."""

Api = Callable[..., Any]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def media(engine: Engine, settings: Any) -> None:
    """Worker and test keep files in the same folder."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"


@pytest.fixture(autouse=True)
def reset(sandbox: SandboxServer) -> None:
    """The sandbox as it is."""


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def client(alice: User) -> Client:
    """It sends Alice's key."""
    _, secret = ApiKey.issue(owner_id=alice.pk, name="test")
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def api(client: Client) -> Api:
    """A call; the JSON of its answer."""

    def call(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        response: Any = (
            client.get(path) if method == "get" else client.post(path, text, content_type="application/json")
        )
        assert response.status_code == status, response.content
        return response.json()

    return call


def done(api: Api, body: Any) -> dict[str, Any]:
    """Create the batch, wait until it is over; its status."""
    created = api("post", "/api/batch/create", body, status=202)["batch"]
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        batch: dict[str, Any] = api("get", f"/api/batch/{created['id']}")["batch"]
        if batch["status"] in ("completed", "failed"):
            return batch
        assert time.monotonic() < until, batch
        time.sleep(0.1)


def downloads(client: Client, batch: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a batch by name."""
    for file in batch["outcome"]["files"]:
        yield file["name"], client.get(f"/api/files/{file['fileId']}").getvalue().decode()


def test_the_documents_example_from_its_create_to_its_visualization(api: Api, alice: User) -> None:
    text = "Invoice {} from Acme Ltd. The total amount of {} EUR is due on 30 June. Please pay to the account below."
    invoices = [
        record(alice, status="pending", content=text.format(number, 100 * number), metadata={"category": "invoice"})
        for number in range(1, 6)
    ]
    other = record(alice, status="pending", content="A letter.", metadata={"category": "letter"})

    created = api("post", "/api/batch/create", EXAMPLE, status=202)
    assert created["success"] is True
    assert re.fullmatch(r"batch_\d{13}_[0-9a-f]+", created["batch"]["id"])
    assert INSTANT.fullmatch(created["batch"]["created_at"])
    shown = {name: created["batch"][name] for name in ("operation", "status", "progress")}
    assert shown == {"operation": "annotate", "status": "pending", "progress": 0}

    batch_id = created["batch"]["id"]
    until = time.monotonic() + DEADLINE_SECONDS
    while (batch := api("get", f"/api/batch/{batch_id}")["batch"])["status"] != "completed":
        assert time.monotonic() < until, batch
        time.sleep(0.1)
    assert (batch["progress"], batch["total_items"], batch["processed_items"], batch["failed_items"]) == (100, 5, 5, 0)

    answer = api("get", f"/api/batch/{batch_id}/results")
    assert answer["success"] is True
    found = answer["batch"]
    assert (found["id"], found["operation"], found["status"], found["progress"]) == (
        batch_id,
        "annotate",
        "completed",
        100,
    )
    assert [result["nodeId"] for result in found["results"]] == [one.public_id for one in invoices]
    for result in found["results"]:
        assert result["success"] is True
        assert {"description", "tags"} <= result["result"].keys()
        assert "invoice" in result["result"]["tags"]
        assert result["retries"] == 0
        assert 0 <= result["durationMs"] < 60_000
        assert result["qualityScore"] == result["result"]["qualityScore"]
        assert INSTANT.fullmatch(result["createdAt"])
    summary = found["summary"]
    assert (summary["total"], summary["successful"], summary["failed"]) == (5, 5, 0)
    scores = [result["qualityScore"] for result in found["results"]]
    assert summary["qualityScore"] == pytest.approx(sum(scores) / 5, abs=0.001)
    assert {"averageDuration", "totalDuration", "requestsPerMinute"} <= summary["performanceMetrics"].keys()

    shown = api("get", f"/api/batch/{batch_id}/viz")["visualization"]
    assert shown["batchId"] == batch_id
    assert {"total": 5, "successful": 5, "failed": 0, "pending": 0, "successRate": 1}.items() <= shown[
        "overview"
    ].items()
    assert shown["errorDistribution"] == []
    assert sum(one["count"] for one in shown["qualityDistribution"]) == 5
    assert {"averageDuration", "p50Duration", "p95Duration", "p99Duration"} <= shown["performanceMetrics"].keys()

    for one in invoices:
        one.refresh_from_db()
        assert (one.status, one.metadata["annotation_status"]) == ("annotated", "done")
    other.refresh_from_db()
    assert (other.status, other.metadata) == ("pending", {"category": "letter"})
    assert api("post", "/api/batch/create", json.loads(EXAMPLE) | {"dryRun": True})["preview"]["total"] == 0


def test_an_annotation_survives_a_provider_that_stumbles(api: Api, alice: User, sandbox: SandboxServer) -> None:
    for number in range(20):
        record(alice, content=f"Letter number {number} about the garden and its flowers.")
    sandbox.configure(error_rates={"500": 0.3, "garbage": 0.1})
    batch = done(api, {"operation": "annotate", "options": {"retryAttempts": 20, "backoff": 1}})
    assert (batch["status"], batch["failed_items"]) == ("completed", 0)
    assert Record.objects.filter(metadata__annotation_status="done").count() == 20


def test_records_are_previewed_transformed_validated_and_reported(api: Api, client: Client, alice: User) -> None:
    Record.objects.bulk_create(
        Record(owner=alice, kind="node", status="new", content="c", metadata={"catgory": "inv", "amount": number})
        for number in range(1_200)
    )
    transform = {
        "operation": "transform",
        "filters": {"status": "new"},
        "changes": [
            {"action": "rename", "field": "catgory", "to": "category"},
            {"action": "map", "field": "category", "values": {"inv": "invoice"}},
            {"action": "set", "field": "status", "value": "ready"},
        ],
    }
    preview = api("post", "/api/batch/create", transform | {"dryRun": True})["preview"]
    assert (preview["matched"], preview["wouldChange"], len(preview["examples"])) == (1_200, 1_200, 10)
    assert preview["examples"][0]["after"]["metadata"] == {"category": "invoice", "amount": 0}
    assert Record.objects.filter(status="new").count() == 1_200

    batch = done(api, transform)
    assert batch["total_items"] == 3
    assert batch["outcome"] == {"matched": 1_200, "changed": 1_200, "unchanged": 0, "failed": 0, "files": []}
    assert Record.objects.filter(status="ready", metadata__category="invoice").count() == 1_200

    schema = {"properties": {"amount": {"maximum": 1_195}, "category": {"const": "invoice"}}, "required": ["amount"]}
    batch = done(api, {"operation": "validate", "schema": schema, "target": "metadata"})
    assert batch["outcome"]["byCategory"] == {"range": 4}
    [(name, text)] = downloads(client, batch)
    assert (name, len(list(csv.reader(io.StringIO(text))))) == ("failures.csv", 5)

    batch = done(
        api, {"operation": "report", "tables": [{"groupBy": ["category"], "measures": ["count", "sum:amount"]}]}
    )
    files = dict(downloads(client, batch))
    assert list(files) == ["report.json", "report.csv", "report.html"]
    assert files["report.csv"].splitlines() == ["category,count,sum:amount", f"invoice,1200,{sum(range(1_200))}"]
    [result] = api("get", f"/api/batch/{batch['id']}/results")["batch"]["results"]
    assert result["result"]["rows"] == [["invoice", 1_200, sum(range(1_200))]]

    over = done(api, {"operation": "report", "over": "batches", "tables": [{"groupBy": ["operation"]}], "formats": []})
    [result] = api("get", f"/api/batch/{over['id']}/results")["batch"]["results"]
    assert {row[0]: row[2] for row in result["result"]["rows"]} == {"transform": 3, "validate": 3, "report": 2}


def test_a_pattern_that_never_ends_stops_no_worker(api: Api, alice: User) -> None:
    for _ in range(5):
        record(alice, title="a" * 60 + "!")
    hostile = {"operation": "validate", "schema": {"properties": {"title": {"pattern": "^(a+)+$"}}}}
    batch = done(api, hostile)
    assert batch["status"] == "failed"
    [result] = api("get", f"/api/batch/{batch['id']}/results")["batch"]["results"]
    assert (result["success"], result["errorCode"]) == (False, "schema_too_slow")
    assert done(api, {"operation": "report"})["status"] == "completed"


def test_an_empty_selection_is_done_at_once(api: Api, alice: User) -> None:
    nothing = {"filters": {"status": "none"}}
    for body in (
        {"operation": "annotate"},
        {"operation": "transform", "changes": [{"action": "add_tags", "tags": ["x"]}]},
        {"operation": "validate", "schema": {}},
        {"operation": "report"},
    ):
        assert done(api, body | nothing)["status"] == "completed"
    assert Batch.objects.filter(owner=alice, status="completed").count() == 4
