"""What is refused before anything is answered, over real HTTP against the sandbox's batch APIs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import (
    ErrorCategory,
    ProviderError,
    RemoteBatch,
    RemoteState,
)
from tests.providers.batch_adapters import MARKER, every_adapter, failure_of, make, question, until_ended, written
from tests.sandbox_fixture import SandboxServer, free_port


@pytest.fixture(autouse=True)
def _quiet(sandbox: SandboxServer) -> Iterator[None]:
    """No batch of one test is left to the next one."""
    yield
    sandbox.clear()


@every_adapter
def test_a_batch_that_is_refused_as_a_whole(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 0.2, "create_faults": ["invalid"]})
    provider = make(adapter, sandbox.url)
    error = refusal_of(provider, tmp_path)
    assert (error.permanent, error.surely_not_sent) == (True, True)
    assert not sandbox.billed()


@every_adapter
def test_a_batch_for_which_there_is_no_room_can_come_later(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 0.2, "create_faults": ["no_room"]})
    provider = make(adapter, sandbox.url)
    error = refusal_of(provider, tmp_path)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.RATE_LIMIT, False, True)
    assert not sandbox.billed()


def refusal_of(provider: BatchAdapter, path: Path) -> ProviderError:
    """Why a batch was refused: by the answer to its creation, or later."""
    try:
        ended = until_ended(provider, provider.submit_batch(written(provider, path, 10), 10, MARKER))
    except ProviderError as error:
        return error
    assert ended.state is RemoteState.FAILED
    assert ended.error is not None
    assert list(provider.batch_results(ended)) == []
    return ended.error


@pytest.mark.parametrize("adapter", [OpenAI, Gemini, XAI], ids=lambda adapter: adapter.__name__)
def test_a_wrong_line_refuses_the_batch(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 0.2})
    provider = make(adapter, sandbox.url)
    file = written(provider, tmp_path, 3)
    file.write_bytes(file.read_bytes() + b'{"broken\n' + provider.batch_line("last", question(1)))
    ended = until_ended(provider, provider.submit_batch(file, 5, MARKER))
    assert ended.state is RemoteState.FAILED
    assert ended.error is not None and ended.error.permanent
    if adapter is OpenAI:
        assert ended.detail["refused_lines"] == {"4": "invalid_json_line"}
        assert str(ended.error) == "openai refused the batch: invalid_json_line in line 4"


def test_groq_lets_a_wrong_line_fail_alone(sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 0.2})
    provider = make(Groq, sandbox.url)
    file = written(provider, tmp_path, 3)
    file.write_bytes(file.read_bytes() + b'{"custom_id": "odd", "method": "GET", "url": "/", "body": {}}\n')
    ended = until_ended(provider, provider.submit_batch(file, 4, MARKER))
    results = {result.custom_id: result.error for result in provider.batch_results(ended)}
    assert results.pop("odd") is not None
    assert list(results.values()) == [None] * 3


@every_adapter
def test_a_refused_key(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(error_rates={"401": 1})
    provider = make(adapter, sandbox.url)
    remote_id = "batches/b" if adapter is Gemini else "b"
    batch = RemoteBatch(
        id=remote_id, state=RemoteState.ENDED, detail={"output_file_id": "f", "responses_file": "files/f"}
    )
    calls: list[tuple[Any, ...]] = [
        (provider.submit_batch, written(provider, tmp_path, 1), 1, MARKER),
        (provider.find_batch, MARKER, 1, datetime.now(UTC), ()),
        (provider.look_at_batch, remote_id),
        (provider.cancel_batch, remote_id),
        (list, provider.batch_results(batch)),
    ]
    for call in calls:
        error = failure_of(*call)
        assert (error.category, error.permanent, error.status) == (ErrorCategory.AUTHENTICATION, True, 401)


@every_adapter
def test_an_account_without_credit_is_told_so_for_batches_too(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    provider = make(adapter, sandbox.url)
    sandbox.configure(accounts={provider.alias: {"refuse": 402}})
    error = failure_of(provider.submit_batch, written(provider, tmp_path, 1), 1, MARKER)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.BUDGET, True, True)
    assert sandbox.batches() == []


@every_adapter
def test_a_provider_that_cannot_be_reached_got_nothing(adapter: type[BatchAdapter], tmp_path: Path) -> None:
    provider = make(adapter, f"http://127.0.0.1:{free_port()}")
    error = failure_of(provider.submit_batch, written(provider, tmp_path, 1), 1, MARKER)
    assert (error.category, error.surely_not_sent, error.permanent) == (ErrorCategory.NETWORK, True, False)


@pytest.mark.parametrize("adapter", [OpenAI, Gemini, XAI, Groq], ids=lambda adapter: adapter.__name__)
def test_an_upload_that_fails_made_no_batch(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(error_rates={"500": 1})
    provider = make(adapter, sandbox.url)
    error = failure_of(provider.submit_batch, written(provider, tmp_path, 1), 1, MARKER)
    assert (error.surely_not_sent, error.permanent) == (True, False)
