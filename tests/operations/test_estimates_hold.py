"""What the sandbox bills lies within what was estimated, at each of the five providers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.files import store_file
from batches.money.estimating.estimate import estimate
from batches.operations import get_operation
from providers.registry import get_provider
from tests.api.conftest import jpeg
from tests.operations.conftest import attempt_of
from tests.sandbox_fixture import SandboxServer

WORDS = "The harbour was quiet, and the crates of tea stood where the crew had left them. "


@pytest.fixture(autouse=True)
def no_keys(sandbox: SandboxServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys every provider is played by the sandbox."""
    for entry in settings.PROVIDERS.values():
        monkeypatch.delenv(entry["key_variable"], raising=False)
    settings.SANDBOX_URL = sandbox.url


@pytest.mark.parametrize("alias", ["openai-gpt-5", "anthropic-haiku", "gemini-flash", "grok", "groq-qwen"])
@pytest.mark.parametrize("name", ["rate_photos", "analyze_conversations", "process_files"])
def test_tokens(owner: User, name: str, alias: str) -> None:
    stored = store_file(owner.pk, "a.jpg", "image/jpeg", jpeg((64, 64)))
    body: dict[str, Any]
    if name == "rate_photos":
        images = [{"id": "1", "url": "https://x.test/1.jpg"}, {"id": "2", "fileId": stored.public_id}]
        body = {"shootId": "s", "images": images, "providerId": alias}
    elif name == "analyze_conversations":
        messages = [{"role": "user", "content": WORDS * number} for number in range(1, 9)]
        body = {"conversations": [{"id": "c", "messages": messages}], "provider": alias}
    else:
        text = store_file(owner.pk, "a.txt", "text/plain", (WORDS * 40).encode())
        body = {"fileIds": [text.public_id], "instruction": "summarise", "provider": alias}
    operation, provider = get_operation(name), get_provider(alias)
    found = estimate(owner.pk, body, operation.build)
    used: Counter[str] = Counter()
    for item in found.new.items:
        operation.run(replace(attempt_of(provider, item.input, found.new.parameters, owner.pk), used=used))
    assert found.work.input_tokens.low <= used["input_tokens"] <= found.work.input_tokens.high
    assert found.work.output_tokens.low <= used["output_tokens"] <= found.work.output_tokens.high
