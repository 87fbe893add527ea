"""The adapters of batches as the tests of this folder use them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import (
    BatchProvider,
    ChatRequest,
    Limits,
    LineResult,
    ProviderError,
    RemoteBatch,
    RemoteState,
)

KEY = "a-very-secret-key"
MARKER = "bs0123456789"
PATHS: Mapping[type[BatchAdapter], str] = {
    OpenAI: "/v1",
    Anthropic: "",
    Gemini: "/v1beta",
    XAI: "/v1",
    Groq: "/openai/v1",
}
every_adapter = pytest.mark.parametrize("adapter", list(PATHS), ids=lambda adapter: adapter.__name__)
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


def make(adapter: type[BatchAdapter], url: str) -> BatchAdapter:
    name = adapter.__name__.lower()
    return adapter(alias=name, base_url=f"{url}/{name}{PATHS[adapter]}", key=KEY, model="a-model", limits=Limits())


def question(number: int) -> ChatRequest:
    text = f"<document>\nInvoice {number} of the airport hotel\n</document>"
    return ChatRequest(prompt=text, reference=f"attempt-{number}", timeout_seconds=5, schema=SCHEMA)


def written(provider: BatchAdapter, path: Path, number: int, marker: str = MARKER) -> Path:
    """A file of so many questions."""
    file = path / f"{marker}.jsonl"
    file.write_bytes(b"".join(provider.batch_line(f"{marker}-{each}", question(each)) for each in range(number)))
    return file


def until_ended(provider: BatchProvider, batch: RemoteBatch) -> RemoteBatch:
    deadline = time.monotonic() + 20
    while batch.state is RemoteState.WAITING:
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
        batch = provider.look_at_batch(batch.id)
    return batch


def failure_of(call: Any, *values: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(*values)
    assert KEY not in str(caught.value)
    return caught.value


def codes(results: list[LineResult]) -> Counter[str]:
    assert all((result.answer is None) != (result.error is None) for result in results)
    return Counter("" if result.error is None else result.error.code for result in results)
