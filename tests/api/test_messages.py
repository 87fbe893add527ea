"""Document 002, from the front door. What the builder says of recipients: tests/operations/messages/test_sms.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.utils import timezone

from batches.models import Batch, Item
from tests.api.conftest import Submit, end_items, problems_of, settle

DOCUMENTED = {
    "text": "Hi {{name}}, your table is ready.",
    "recipients": [
        {"phoneNumber": "+14155552671", "variables": {"name": "Ann"}},
        {"phoneNumber": "+44 20 7183 8750", "variables": {"name": "Ben"}},
    ],
    "options": {"priority": "high"},
}


def post(client: Client, **changes: Any) -> Any:
    return client.post("/api/batch", {**DOCUMENTED, **changes}, content_type="application/json")


def test_the_documents_example(client: Client, alice: User) -> None:
    response = post(client)
    assert response.status_code == 202
    batch = Batch.objects.get()
    assert response.json() == {
        "success": True,
        "batchId": batch.public_id,
        "status": "processing",
        "totalRecipients": 2,
        "warnings": [],
    }
    assert (batch.owner, batch.operation, batch.channel, batch.priority) == (alice, "sms", "sms", "high")
    assert batch.parameters == {"text": DOCUMENTED["text"]}
    assert [item.input for item in batch.items.order_by("position")] == [
        {"to": "+14155552671", "variables": {"name": "Ann"}},
        {"to": "+442071838750", "variables": {"name": "Ben"}},
    ]


def test_without_auto_start_it_waits_for_start(client: Client) -> None:
    body = post(client, options={"autoStart": False}).json()
    assert body["status"] == "pending"
    started = client.post(f"/api/batch/{body['batchId']}/start")
    assert started.json() == {
        "success": True,
        "message": "Batch started",
        "batchId": body["batchId"],
        "status": "processing",
    }
    assert client.post(f"/api/batch/{body['batchId']}/start").status_code == 409


def test_a_schedule_is_kept(client: Client) -> None:
    later = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    assert post(client, options={"scheduleTime": later.isoformat()}).json()["status"] == "pending"
    assert Batch.objects.get().scheduled_at == later


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"text": None}, {"text": "required"}),
        ({"text": " "}, {"text": "required"}),
        ({"text": ["x"]}, {"text": "invalid_type"}),
        ({"text": "Hi {{name"}, {"text": "invalid_template"}),
        ({"recipients": None}, {"recipients": "required"}),
        ({"recipients": []}, {"recipients": "empty"}),
        ({"recipients": "+14155552671"}, {"recipients": "invalid_type"}),
        ({"provider": "nobody"}, {"provider": "unknown_provider"}),
        ({"provider": "openai-gpt-5"}, {"provider": "unknown_provider"}),
        ({"options": {"priority": "urgent"}}, {"options.priority": "invalid_choice"}),
        ({"options": {"autoStart": "yes"}}, {"options.autoStart": "invalid_type"}),
        ({"options": {"scheduleTime": "2020-01-01T00:00:00Z"}}, {"options.scheduleTime": "in_the_past"}),
        ({"text": "Hi {{name}} {{code}}"}, {f"recipients.{i}.variables.code": "missing_variable" for i in (0, 1)}),
    ],
)
def test_bad_input(client: Client, changes: dict[str, Any], problems: dict[str, str]) -> None:
    assert problems_of(post(client, **changes)) == problems
    assert not Batch.objects.exists()
    assert not Item.objects.exists()


def test_the_status_of_both_documents(client: Client, submit: Submit) -> None:
    batch = submit("sms", count=5)
    end_items(batch, "succeeded", [0, 1])
    end_items(batch, "failed", [2])
    end_items(batch, "unknown", [3])
    Batch.objects.filter(pk=batch.pk).update(started_at=F("created_at") - timedelta(seconds=10))
    body = client.get(f"/api/batch/{batch.public_id}").json()
    shape = body.pop("batch")
    rate = body["metrics"].pop("messagesPerSecond")
    assert 0.2 < rate <= 0.4
    assert body == {
        "success": True,
        "status": "processing",
        "progress": {"total": 5, "pending": 1, "completed": 2, "failed": 2, "cancelled": 0, "unknown": 1},
        "metrics": {"successRate": 0.5},
    }
    assert (shape["operation"], shape["status"], shape["progress"]) == ("sms", "running", 80)
    assert (shape["total_items"], shape["processed_items"], shape["failed_items"]) == (5, 4, 2)


def test_a_batch_that_has_not_started_has_no_rates(client: Client, submit: Submit) -> None:
    batch = submit("sms", auto_start=False)
    body = client.get(f"/api/batch/{batch.public_id}").json()
    assert (body["status"], body["metrics"]) == ("pending", {"messagesPerSecond": 0.0, "successRate": 0.0})


def test_a_settled_campaign(client: Client, submit: Submit) -> None:
    batch = submit("sms", count=2)
    end_items(batch, "succeeded", [0, 1], result={"status": "queued", "segments": 1})
    settle(batch)
    body = client.get(f"/api/batch/{batch.public_id}").json()
    assert (body["status"], body["progress"]["pending"], body["batch"]["progress"]) == ("completed", 0, 100)
    [first, _] = client.get(f"/api/batch/{batch.public_id}/items").json()["items"]
    assert first["to"] == "+14155552000"
    assert first["result"] == {"status": "queued", "segments": 1}
