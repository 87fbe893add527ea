"""An owner, and providers that answer what a test tells them to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User

from batches.operations.base import Attempt
from providers.base import ChatAnswer, ChatRequest, Limits, Provider, SentMessage, TextMessage
from tests.engine_fixture import engine

__all__ = ["engine"]


class Answering:
    """Both kinds of provider in one; keeps what it was asked."""

    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = False

    def __init__(self, answer: str = "") -> None:
        self.alias = self.model = "answering"
        self.limits = Limits()
        self.uses_sandbox = True
        self.answer = answer
        self.requests: list[ChatRequest] = []
        self.messages: list[TextMessage] = []

    def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        return ChatAnswer(text=self.answer, model=self.model)

    def send(self, message: TextMessage) -> SentMessage:
        self.messages.append(message)
        return SentMessage(provider_reference="SM1", status="queued", segments=2)


def attempt_of(
    provider: Provider, item: Mapping[str, Any], parameters: Mapping[str, Any], owner_id: int = 1
) -> Attempt:
    return Attempt(
        item_id=1,
        owner_id=owner_id,
        key="k",
        input=item,
        parameters=parameters,
        provider=provider,
        reference="attempt-1",
        timeout_seconds=5.0,
    )


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    """Files go to a folder of the test."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return Path(settings.MEDIA_ROOT)
