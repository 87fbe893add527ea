"""Each example request of documents 001, 002 and 004 as it stands: the documented answer, ids and times aside."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import Batch
from records.models import Kind, Record
from tests.api.conftest import Submit, end_items, settle

JSON = "application/json"
ID = re.compile(r"batch_\d{13}_[0-9a-f]+")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

PROCESS = """
{
  "shootId": "shoot123",
  "images": [
    {
      "id": "img1",
      "filename": "photo1.jpg",
      "url": "https://example.com/photo1.jpg",
      "metadata": {"camera": "Nikon"},
      "tags": ["wedding", "ceremony"]
    }
  ],
  "providerId": "openai-gpt-5",
  "prompt": "Rate these wedding photos",
  "systemPrompt": "You are an expert wedding photographer",
  "mode": "fast"
}
"""
"""Document 001's; its ``{...}`` of metadata filled in."""

CREATE = """
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

SERVICE = """
{
  "operation": "annotate",
  "filters": { "status": "pending" },
  "options": {
    "batchSize": 100,
    "retryAttempts": 5,
    "timeout": 60000,
    "priority": "high",
    "notifyOnComplete": true
  }
}
"""
"""Document 004's service configuration."""

CAMPAIGN = """
{
  "text": "Hello {{name}}",
  "recipients": [{"phoneNumber": "+14155552671", "variables": {"name": "Ada"}}],
  "options": {"scheduleTime": "%s", "priority": "high", "autoStart": true}
}
"""
"""Document 002's ``BatchCreate`` with a value for each of its fields."""


def test_001_process(client: Client) -> None:
    response = client.post("/api/batch/process", PROCESS, content_type=JSON)
    assert response.status_code == 202
    body = response.json()
    assert ID.fullmatch(body.pop("jobId"))
    assert body == {"message": "Batch processing started", "mode": "fast", "totalImages": 1}


def test_001_status_results_cancel(client: Client) -> None:
    job = client.post("/api/batch/process", PROCESS, content_type=JSON).json()["jobId"]
    status = client.get(f"/api/batch/status/{job}").json()
    assert {
        name: status[name] for name in ("jobId", "status", "totalImages", "processedImages", "progress", "mode")
    } == {
        "jobId": job,
        "status": "processing",
        "totalImages": 1,
        "processedImages": 0,
        "progress": 0.0,
        "mode": "fast",
    }
    assert TIME.fullmatch(status["createdAt"])
    assert TIME.fullmatch(status["startedAt"])
    results = client.get(f"/api/batch/results/{job}").json()
    assert {name: results[name] for name in ("jobId", "results", "totalImages", "processedImages", "completedAt")} == {
        "jobId": job,
        "results": [],
        "totalImages": 1,
        "processedImages": 0,
        "completedAt": None,
    }
    assert client.post(f"/api/batch/cancel/{job}").json() == {"jobId": job, "message": "Job cancelled successfully"}


def test_002_create_and_status(client: Client) -> None:
    response = client.post("/api/batch", CAMPAIGN % "2030-01-31T09:00:00Z", content_type=JSON)
    assert response.status_code == 202
    batch_id = response.json()["batchId"]
    status = client.get(f"/api/batch/{batch_id}").json()
    assert status["status"] == "pending"
    assert {name: status["progress"][name] for name in ("total", "pending", "completed", "failed")} == {
        "total": 1,
        "pending": 1,
        "completed": 0,
        "failed": 0,
    }
    assert status["metrics"] == {"messagesPerSecond": 0.0, "successRate": 0.0}
    assert client.get(f"/api/batch/{batch_id}/analytics").status_code == 200
    assert client.get(f"/api/batch/{batch_id}/errors").json()["errors"] == []


@pytest.fixture
def invoices(alice: User) -> None:
    """Records that document 004's filters match, and some that they do not."""
    for status, category in (("pending", "invoice"), ("pending", "invoice"), ("done", "invoice"), ("pending", "memo")):
        Record.objects.create(
            owner=alice, kind=Kind.MEMORY, status=status, content="An invoice.", metadata={"category": category}
        )


@pytest.mark.usefixtures("invoices")
def test_004_create(client: Client) -> None:
    response = client.post("/api/batch/create", CREATE, content_type=JSON)
    assert response.status_code == 202, response.json()
    body = response.json()
    assert ID.fullmatch(body["batch"]["id"])
    assert TIME.fullmatch(body["batch"]["created_at"])
    shown = {name: body["batch"][name] for name in ("operation", "status", "progress")}
    assert (body["success"], shown) == (True, {"operation": "annotate", "status": "pending", "progress": 0})
    batch = Batch.objects.get()
    assert (batch.total, batch.concurrency, batch.max_retries) == (2, 50, 3)
    assert batch.name == "Monthly invoice annotation"


@pytest.mark.usefixtures("invoices")
def test_004_service_configuration(client: Client) -> None:
    assert client.post("/api/batch/create", SERVICE, content_type=JSON).status_code == 202
    batch = Batch.objects.get()
    assert (batch.concurrency, batch.max_retries, batch.timeout_ms) == (100, 5, 60000)
    assert (batch.priority, batch.notify_on_complete) == ("high", True)


def test_004_history_cancel_cleanup(client: Client, submit: Submit) -> None:
    batch = submit()
    end_items(batch, "succeeded", [0])
    path = "/api/batch/history?status=completed&operation=annotate&limit=20&offset=0"
    body = client.get(path).json()
    assert body["filter"] == {"status": "completed", "operation": "annotate", "limit": 20, "offset": 0}
    assert client.post(f"/api/batch/{batch.public_id}/cancel").json() == {
        "success": True,
        "message": "Batch cancelled successfully",
    }
    settle(batch, "cancelled")
    body = client.delete("/api/batch/cleanup", '{\n  "daysToKeep": 60\n}', content_type=JSON).json()
    assert body == {"success": True, "deleted": 0, "daysToKeep": 60}


def test_004_errors(client: Client) -> None:
    body: dict[str, Any] = client.post("/api/batch/create", {"operation": 1}, content_type=JSON).json()
    assert body["success"] is False
    assert isinstance(body["error"], str)
    assert body["details"]["errors"] == [{"path": "operation", "message": "Must be a string.", "code": "invalid_type"}]
