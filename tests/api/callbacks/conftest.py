"""What providers of messages post to us, signed as they sign it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from batches.models import Batch
from providers.sandbox.receipts import Post
from providers.sandbox.signing import twilio_post
from tests.api.conftest import Submit, end_items

BASE = "https://batches.example.com"
SECRET = "sandbox"
"""What the registry gives to adapters of the sandbox as their key."""


Tell = Callable[..., Any]


@pytest.fixture(autouse=True)
def public(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known from outside, and without keys: the sandbox's providers."""
    settings.PUBLIC_URL = BASE
    for variable in ("TWILIO_AUTH_TOKEN", "VONAGE_API_SECRET", "PLIVO_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


def post(client: Client, signed: Post) -> Any:
    """Deliver what a provider signed."""
    headers = {name: value for name, value in signed.headers.items() if name != "Content-Type"}
    path = signed.url.removeprefix(BASE)
    return client.post(path, signed.body, content_type=signed.headers["Content-Type"], headers=headers)


@pytest.fixture
def tell(anonymous: Client, db: None) -> Tell:
    """Twilio tells of a message."""

    def run(reference: str, status: str, *, attempt: object = "", code: str = "", token: str = SECRET) -> Any:
        fields = {"MessageSid": reference, "MessageStatus": status, "To": "+14155552671"}
        if code:
            fields["ErrorCode"] = code
        return post(anonymous, twilio_post(token, f"{BASE}/api/receipts/twilio?reference={attempt}", fields))

    return run


@pytest.fixture
def sent(submit: Submit) -> Batch:
    """Three messages that were taken: SM0, SM1, SM2."""
    batch = submit("sms")
    for position in range(3):
        end_items(batch, "succeeded", [position], provider_reference=f"SM{position}", attempt_id=uuid.uuid4())
    return batch
