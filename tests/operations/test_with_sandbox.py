"""Both operations through their real adapters, over real HTTP, against the real sandbox."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.files import store_file
from batches.operations.base import Operation
from batches.operations.messages.sms import Sms, build_sms_batch
from batches.operations.photos.rate_photos import RatePhotos, build_photo_batch
from batches.options import NewBatch
from batches.outcomes import Succeeded
from providers.base import ProviderError
from providers.registry import get_provider
from tests.api.conftest import jpeg
from tests.operations.conftest import attempt_of
from tests.sandbox_fixture import SandboxServer


@pytest.fixture(autouse=True)
def no_keys(sandbox: SandboxServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys every provider is played by the sandbox."""
    for entry in settings.PROVIDERS.values():
        monkeypatch.delenv(entry["key_variable"], raising=False)
    settings.SANDBOX_URL = sandbox.url


def outcomes(operation: Operation, new: NewBatch, owner_id: int) -> list[Any]:
    provider = get_provider(new.provider)
    return [operation.run(attempt_of(provider, item.input, new.parameters, owner_id)) for item in new.items]


def test_photos_by_url_and_by_file_are_rated(owner: User) -> None:
    stored = store_file(owner.pk, "a.jpg", "image/jpeg", jpeg((64, 64)))
    images = [{"id": "1", "url": "https://x.test/1.jpg"}, {"id": "2", "fileId": stored.public_id}]
    new = build_photo_batch(owner.pk, {"shootId": "s", "images": images})
    for outcome in outcomes(RatePhotos(), new, owner.pk):
        assert isinstance(outcome, Succeeded)
        assert set(outcome.result) == {"starRating", "colorLabel", "title", "description", "tags"}
        assert outcome.quality == (outcome.result["starRating"] - 1) / 4


def test_garbage_is_tried_again(owner: User, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"garbage": 1})
    new = build_photo_batch(owner.pk, {"shootId": "s", "images": [{"id": "1", "url": "https://x.test/1.jpg"}]})
    with pytest.raises(ProviderError) as failed:
        outcomes(RatePhotos(), new, owner.pk)
    assert not failed.value.permanent


def test_messages_are_sent_as_rendered(owner: User, sandbox: SandboxServer) -> None:
    recipients = [{"phoneNumber": "+14155552671", "variables": {"name": "Ann"}}]
    new = build_sms_batch(owner.pk, {"text": "Hi {{name}}", "recipients": recipients})
    [outcome] = outcomes(Sms(), new, owner.pk)
    assert isinstance(outcome, Succeeded)
    assert outcome.provider_reference
    [entry] = sandbox.log()
    assert (entry["to"], entry["accepted"]) == ("+14155552671", True)
