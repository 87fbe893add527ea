"""What a create may say for the time when its provider is unavailable, and what a client is told of it then."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from batches.models import Batch, ProviderAccount

pytestmark = pytest.mark.django_db

IMAGES = [{"id": "a", "url": "https://example.com/a.jpg"}]


def create(client: Client, **fields: Any) -> Any:
    body = {"shootId": "shoot1", "images": IMAGES, **fields}
    return client.post("/api/batch/process", body, content_type="application/json")


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ({}, ("wait", [])),
        ({"whenUnavailable": "fail"}, ("fail", [])),
        ({"fallbacks": ["anthropic-haiku", "gemini-flash"]}, ("switch", ["anthropic-haiku", "gemini-flash"])),
        ({"options": {"whenUnavailable": "switch"}}, ("switch", [])),
        ({"fallbacks": ["gemini-flash"], "whenUnavailable": "wait"}, ("wait", ["gemini-flash"])),
    ],
)
def test_it_is_kept_with_the_batch(client: Client, options: dict[str, Any], stored: tuple[str, list[str]]) -> None:
    assert create(client, providerId="openai-gpt-5", **options).status_code == 202
    batch = Batch.objects.get()
    assert (batch.when_unavailable, batch.fallbacks) == stored


@pytest.mark.parametrize(
    ("options", "path", "code"),
    [
        ({"whenUnavailable": "pray"}, "whenUnavailable", "invalid_choice"),
        ({"fallbacks": "gemini-flash"}, "fallbacks", "invalid_type"),
        ({"fallbacks": ["gemini-flash"] * 11}, "fallbacks", "too_many"),
        ({"fallbacks": [7]}, "fallbacks.0", "invalid_type"),
        ({"fallbacks": ["gemini-flash", "nobody"]}, "fallbacks.1", "unknown_provider"),
        ({"fallbacks": ["twilio"]}, "fallbacks.0", "unknown_provider"),
        ({"fallbacks": ["gemini-3.8-flash"]}, "fallbacks.0", "unknown_provider"),
        ({"fallbacks": ["openai-gpt-5"]}, "fallbacks.0", "duplicate"),
        ({"fallbacks": ["gemini-flash", "gemini-flash"]}, "fallbacks.1", "duplicate"),
    ],
)
def test_what_cannot_be_is_refused(client: Client, options: dict[str, Any], path: str, code: str) -> None:
    answer = create(client, providerId="openai-gpt-5", **options)
    problems = answer.json()["details"]["errors"]
    assert (answer.status_code, [(each["path"], each["code"]) for each in problems]) == (400, [(path, code)])
    assert not Batch.objects.exists()


def test_a_client_is_told_what_holds_its_batch_back(client: Client) -> None:
    create(client, providerId="openai-gpt-5")
    batch = Batch.objects.get()
    assert client.get(f"/api/batch/status/{batch.public_id}").json()["unavailable"] is None
    assert "unavailable" not in client.get(f"/api/batch/{batch.public_id}").json()["batch"]

    now = timezone.now()
    ProviderAccount.objects.create(
        alias="openai-gpt-5", opened_at=now, opened_for="authentication (invalid_api_key)", probe_at=now
    )
    for told in (
        client.get(f"/api/batch/status/{batch.public_id}").json()["unavailable"],
        client.get(f"/api/batch/{batch.public_id}").json()["batch"]["unavailable"],
    ):
        assert (told["provider"], told["whenUnavailable"]) == ("openai-gpt-5", "wait")
        assert told["message"].startswith("provider unavailable: authentication (invalid_api_key) since 20")
        assert told["nextTryAt"].endswith("Z")
