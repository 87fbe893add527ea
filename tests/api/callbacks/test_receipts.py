"""Delivery receipts, in any order, as often as they like."""

from __future__ import annotations

import hmac
import threading
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import TextField, Value
from django.db.models.functions import Cast, Concat
from django.test import Client
from django.utils import timezone

from batches.models import Batch, BatchHistogram, DeliveryReceipt, ItemError
from batches.progress import publisher
from batches.running import record_statements
from batches.text_messages import receipts
from providers.sandbox.signing import plivo_post, twilio_post, vonage_post
from tests.api.callbacks.conftest import BASE, SECRET, Tell, post
from tests.api.conftest import Submit, end_items


def deliveries(batch: Batch) -> list[str]:
    return list(batch.items.order_by("position").values_list("delivery", flat=True))


def shown(client: Client, batch: Batch) -> Any:
    return client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]["delivery"]


def test_each_provider_is_heard(anonymous: Client, submit: Submit) -> None:
    for alias, make, fields in (
        ("twilio", twilio_post, {"MessageSid": "m-1", "MessageStatus": "delivered"}),
        ("vonage", vonage_post, {"message_uuid": "m-1", "status": "delivered"}),
        ("plivo", plivo_post, {"MessageUUID": "m-1", "Status": "delivered"}),
    ):
        batch = submit("sms", count=1)
        Batch.objects.filter(pk=batch.pk).update(provider=alias)
        end_items(batch, "succeeded", [0], provider_reference="m-1")
        make_post: Any = make
        assert post(anonymous, make_post(SECRET, f"{BASE}/api/receipts/{alias}?reference=x", fields)).status_code == 204
        assert deliveries(batch) == ["delivered"], alias


def test_a_delivery_is_shown_everywhere(client: Client, sent: Batch, tell: Tell) -> None:
    assert shown(client, sent) == {"delivered": 0, "undelivered": 0, "pending": 3, "rate": None}
    assert tell("SM0", "delivered").status_code == 204
    assert tell("SM1", "undelivered", code="30005").status_code == 204
    assert tell("SM2", "sent").status_code == 204
    assert deliveries(sent) == ["delivered", "undelivered", "sent"]
    assert shown(client, sent) == {"delivered": 1, "undelivered": 1, "pending": 1, "rate": 0.5}
    path = f"/api/batch/{sent.public_id}"
    first, second, _ = client.get(f"{path}/items").json()["items"]
    assert first["delivery"] == "delivered" and first["deliveredAt"] and first["error"] is None
    assert second["error"] == {
        "category": "invalid_request",
        "code": "30005",
        "message": "It was not delivered: the number is not in use.",
    }
    results = client.get(f"{path}/results").json()["batch"]["results"]
    assert [(one["success"], one["delivery"]) for one in results] == [
        (True, "delivered"),
        (True, "undelivered"),
        (True, "sent"),
    ]
    assert client.get(f"{path}/errors").json()["byCategory"] == [{"category": "invalid_request", "count": 1}]
    sent.refresh_from_db()
    assert (sent.succeeded, sent.failed) == (3, 0)


@pytest.mark.parametrize("order", [("sent", "delivered"), ("delivered", "sent"), ("delivered", "undelivered", "sent")])
def test_a_final_delivery_is_never_left(client: Client, sent: Batch, tell: Tell, order: tuple[str, ...]) -> None:
    for _ in range(2):
        for status in order:
            assert tell("SM0", status).status_code == 204
    assert deliveries(sent) == ["delivered", "", ""]
    assert shown(client, sent)["delivered"] == 1
    assert DeliveryReceipt.objects.filter(applied_at=None).count() == 0
    assert DeliveryReceipt.objects.count() == len(order)
    assert not ItemError.objects.exists()


def test_one_that_comes_before_our_commit_waits_for_its_item(client: Client, submit: Submit, tell: Tell) -> None:
    batch = submit("sms", count=1)
    for status in ("delivered", "sent"):
        assert tell("SM0", status, attempt=uuid.uuid4()).status_code == 204
    assert receipts.match_open() == []
    assert DeliveryReceipt.objects.filter(applied_at=None).count() == 2
    end_items(batch, "succeeded", [0], provider_reference="SM0")
    assert receipts.match_open() == []
    assert deliveries(batch) == ["delivered"]
    assert shown(client, batch)["delivered"] == 1
    assert DeliveryReceipt.objects.filter(applied_at=None).count() == 0


def test_old_open_ones_are_looked_at_too_and_forgotten_in_the_end(sent: Batch) -> None:
    old = timezone.now() - timezone.timedelta(hours=1)  # type: ignore[attr-defined]
    common = {"provider": "twilio", "received_at": old}
    DeliveryReceipt.objects.create(provider_reference="SM0", status="delivered", **common)
    DeliveryReceipt.objects.create(provider_reference="gone", status="delivered", **common)
    receipts.match_open()
    assert deliveries(sent)[0] == ""
    receipts.match_all_open()
    assert deliveries(sent)[0] == "delivered"
    DeliveryReceipt.objects.update(received_at=old - timezone.timedelta(days=4))  # type: ignore[attr-defined]
    assert receipts.sweep_old() == 2


def test_another_accounts_word_is_none(sent: Batch, tell: Tell, anonymous: Client) -> None:
    fields = {"MessageUUID": "SM0", "Status": "delivered"}
    told = plivo_post(SECRET, f"{BASE}/api/receipts/plivo?reference=x", fields)
    assert post(anonymous, told).status_code == 204
    assert deliveries(sent) == ["", "", ""]


def test_a_word_that_we_do_not_know_changes_nothing(sent: Batch, tell: Tell) -> None:
    assert tell("SM0", "teleported").status_code == 204
    assert deliveries(sent)[0] == ""
    assert DeliveryReceipt.objects.filter(applied_at=None).count() == 0


def test_providers_say_whether_receipts_are_asked_for(client: Client, settings: Any) -> None:
    def said() -> Any:
        shapes = client.get("/api/providers").json()["providers"]
        return {one["id"]: one["callbacks"] for one in shapes}

    assert said()["twilio"] == {"receipts": True, "inboundUrl": f"{BASE}/api/inbound/twilio", "why": None}
    assert said()["openai-gpt-5"] is None
    settings.PUBLIC_URL = ""
    assert said()["twilio"]["receipts"] is False
    assert "PUBLIC_URL" in said()["twilio"]["why"]


def test_a_real_provider_is_told_no_private_address(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from providers.registry import get_provider

    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "real")
    monkeypatch.setenv("VONAGE_API_SECRET", "real")
    own = {"account": "AC1", "sender": "+15005550006"}
    settings.PROVIDERS = {
        alias: {**entry, **own} if "account" in entry else entry for alias, entry in settings.PROVIDERS.items()
    }
    for address in (
        *("http://127.0.0.1:8000", "http://localhost:8000", "http://10.0.0.7", "http://server", "server.example.com"),
        *(
            "ftp://example.com",
            "http://[::ffff:10.0.0.7]",
            "http://[::1]",
            "http://127.1",
            "http://2130706433",
            "http://[",
        ),
    ):
        settings.PUBLIC_URL = address
        get_provider.cache_clear()
        shapes = {one["id"]: one["callbacks"] for one in client.get("/api/providers").json()["providers"]}
        assert shapes["twilio"]["receipts"] is False and "cannot reach" in shapes["twilio"]["why"]
        assert shapes["plivo"]["receipts"] is True  # the sandbox's
    settings.PUBLIC_URL = BASE
    get_provider.cache_clear()
    shapes = {one["id"]: one["callbacks"] for one in client.get("/api/providers").json()["providers"]}
    assert shapes["twilio"]["receipts"] is True
    assert shapes["vonage"]["receipts"] is False and "secret" in shapes["vonage"]["why"]
    get_provider.cache_clear()


def test_a_batch_is_not_announced_for_a_receipt(
    sent: Batch, tell: Tell, monkeypatch: pytest.MonkeyPatch, owner_is_watching: list[Any]
) -> None:
    tell("SM0", "delivered")
    assert owner_is_watching == []


@pytest.fixture
def owner_is_watching(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    announced: list[Any] = []
    monkeypatch.setattr(publisher, "announce", lambda *facts: announced.append(facts))
    return announced


def test_days_are_those_of_the_recorder(sent: Batch, tell: Tell) -> None:
    tell("SM0", "delivered")
    row = BatchHistogram.objects.get(measure="delivery:delivered")
    assert row.bucket == int(timezone.now().timestamp()) // record_statements.DAY_SECONDS


def test_owners_are_not_mixed(submit: Submit, bob: User, tell: Tell) -> None:
    hers, his = submit("sms", count=1), submit("sms", count=1, owner=bob)
    end_items(hers, "succeeded", [0], provider_reference="SM1")
    end_items(his, "succeeded", [0], provider_reference="SM2")
    tell("SM2", "delivered")
    assert (deliveries(hers), deliveries(his)) == ([""], ["delivered"])


def test_an_older_receipt_of_vonage_comes_in_its_address(anonymous: Client, submit: Submit) -> None:
    batch = submit("sms", count=1)
    Batch.objects.filter(pk=batch.pk).update(provider="vonage")
    end_items(batch, "succeeded", [0], provider_reference="0A1")
    fields = {"messageId": "0A1", "status": "delivered", "err-code": "0"}
    signed = b"&err-code=0&messageId=0A1&status=delivered"
    mac = hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert anonymous.get("/api/receipts/vonage", {**fields, "sig": mac[:-1] + "x"}).status_code == 403
    assert deliveries(batch) == [""]
    assert anonymous.get("/api/receipts/vonage", {**fields, "sig": mac}).status_code == 204
    assert deliveries(batch) == ["delivered"]


@pytest.mark.django_db(transaction=True)
def test_whoever_applies_them_at_once_counts_each_item_once(submit: Submit) -> None:
    """Web processes and the dispatcher may hold the same receipts at the same moment."""
    batch = submit("sms", count=20)
    attempts = [uuid.uuid4() for _ in range(20)]
    for position, attempt in enumerate(attempts):
        end_items(batch, "unknown" if position % 2 else "succeeded", [position], attempt_id=attempt)
    batch.items.filter(status="succeeded").update(provider_reference=Concat(Value("SM"), Cast("position", TextField())))
    told = [
        DeliveryReceipt(provider="twilio", provider_reference=f"SM{position}", reference=str(attempt), status=status)
        for status in ("sent", "delivered", "undelivered")
        for position, attempt in enumerate(attempts)
    ]
    DeliveryReceipt.objects.bulk_create(told)
    start = threading.Barrier(4)

    def apply() -> None:
        try:
            start.wait(10)
            receipts.apply(told)
        finally:
            connection.close()

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    batch.refresh_from_db()
    assert (batch.succeeded, batch.unknown) == (20, 0)
    assert set(batch.items.values_list("status", "delivery")) == {("succeeded", "delivered")}
    counted = dict(BatchHistogram.objects.filter(batch=batch).values_list("measure", "count"))
    assert counted["delivery:delivered"] == 20
    assert counted["simulated:segments"] == 10
    assert "delivery:undelivered" not in counted
    assert not DeliveryReceipt.objects.filter(applied_at=None).exists()
