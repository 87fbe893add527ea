"""What is no receipt: not signed, saying nothing, huge, or for somebody who has none."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from batches.models import Batch, BatchHistogram, DeliveryReceipt, Item
from providers.sandbox.receipts import Post
from providers.sandbox.signing import twilio_post, vonage_post
from tests.api.callbacks.conftest import BASE, SECRET, Tell, post


def state() -> list[Any]:
    return [list(model._default_manager.order_by("pk").values()) for model in (DeliveryReceipt, Item, BatchHistogram)]


@pytest.mark.parametrize("how", ["forged", "unsigned", "another token", "changed", "empty"])
def test_what_is_not_signed_by_the_provider_is_forbidden_and_leaves_no_trace(
    how: str, sent: Batch, tell: Tell, anonymous: Client, caplog: pytest.LogCaptureFixture
) -> None:
    before = state()
    url = f"{BASE}/api/receipts/twilio?reference=x"
    genuine = twilio_post(SECRET, url, {"MessageSid": "SM0", "MessageStatus": "delivered", "To": "+14155552671"})
    told = {
        "forged": genuine.forged(),
        "unsigned": Post(url, genuine.body, {"Content-Type": genuine.headers["Content-Type"]}),
        "another token": twilio_post("another", url, {"MessageSid": "SM0", "MessageStatus": "delivered"}),
        "changed": Post(url, genuine.body.replace(b"SM0", b"SM1"), genuine.headers),
        "empty": Post(url, b"", {"Content-Type": "text/plain"}),
    }[how]
    response = post(anonymous, told)
    assert response.status_code == 403
    assert response.json()["details"]["errors"][0]["code"] == "invalid_signature"
    assert state() == before
    assert "4155552671" not in caplog.text and "SM0" not in caplog.text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"MessageSid": "SM0"},
        {"MessageStatus": "delivered"},
        {"MessageSid": "SM0\x00", "MessageStatus": "delivered"},
        {"MessageSid": "S" * 101, "MessageStatus": "delivered"},
        {"MessageSid": "SM0", "MessageStatus": "x" * 40},
        {"MessageSid": "SM0", "MessageStatus": "deliv\x00ered"},
    ],
)
def test_a_signed_one_that_says_nothing_is_a_bad_request(
    fields: dict[str, str], sent: Batch, anonymous: Client
) -> None:
    before = state()
    response = post(anonymous, twilio_post(SECRET, f"{BASE}/api/receipts/twilio", fields))
    assert response.status_code == 400
    assert state() == before


def test_lone_surrogates_and_wrong_types(anonymous: Client, sent: Batch) -> None:
    before = state()
    url = f"{BASE}/api/receipts/vonage"
    for document in (
        {"message_uuid": "\ud800", "status": "delivered"},
        {"message_uuid": ["SM0"], "status": {"a": 1}},
        {"message_uuid": 10**60, "status": True},
        {"message_uuid": "SM0", "status": None, "error": [1]},
    ):
        assert post(anonymous, vonage_post(SECRET, url, document)).status_code == 400
    assert state() == before


def test_a_huge_one_is_not_read(anonymous: Client, db: None) -> None:
    url = f"{BASE}/api/receipts/twilio"
    told = twilio_post(SECRET, url, {"MessageSid": "SM0", "MessageStatus": "delivered", "Body": "x" * 100_000})
    assert post(anonymous, told).status_code == 413
    assert not DeliveryReceipt.objects.exists()


@pytest.mark.parametrize("alias", ["nobody", "openai-gpt-5"])
def test_who_sends_no_messages_has_no_receipts(alias: str, anonymous: Client, db: None) -> None:
    assert anonymous.post(f"/api/receipts/{alias}", {}, content_type="application/json").status_code == 404


def test_other_methods(anonymous: Client, db: None) -> None:
    assert anonymous.put("/api/receipts/twilio").status_code == 405
    assert anonymous.get("/api/receipts/vonage").status_code == 403
