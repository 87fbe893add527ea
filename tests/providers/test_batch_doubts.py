"""A submit that nobody answered: its batch is found again, over real HTTP against the sandbox's batch APIs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.base import (
    ProviderError,
)
from tests.providers.batch_adapters import MARKER, every_adapter, failure_of, make, until_ended, written
from tests.sandbox_fixture import SandboxServer


@pytest.fixture(autouse=True)
def _quiet(sandbox: SandboxServer) -> Iterator[None]:
    """No batch of one test is left to the next one."""
    yield
    sandbox.clear()


@every_adapter
@pytest.mark.parametrize("fault", ["cut", "silent"])
def test_a_submit_without_an_answer_is_found_again(
    adapter: type[BatchAdapter], fault: str, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "exchange_seconds", 0.5)
    monkeypatch.setattr(adapter, "upload_seconds", 0.5)
    sandbox.configure(batches={"seconds": 0.4})
    provider = make(adapter, sandbox.url)
    other = provider.submit_batch(written(provider, tmp_path, 20, "another"), 20, "another")
    sandbox.configure(batches={"create_faults": [fault]})
    since = datetime.now(UTC)
    error = failure_of(provider.submit_batch, written(provider, tmp_path, 20), 20, MARKER)
    assert (error.surely_not_sent, error.permanent) == (False, False)
    found = None
    while found is None:
        try:
            found = provider.find_batch(MARKER, 20, since, ())
            assert found is not None
        except ProviderError as unproven:
            assert (adapter, unproven.code, unproven.permanent) == (Anthropic, "batch_unproven", False)
            time.sleep(0.05)
    assert found.id != other.id
    ended = until_ended(provider, found)
    assert {result.custom_id for result in provider.batch_results(ended)} == {f"{MARKER}-{n}" for n in range(20)}
    assert provider.find_batch("nobody", 20, since, ()) is None
    assert len(sandbox.batches()) == 2


def test_anthropic_looks_no_further_than_it_must(sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 0})
    provider = make(Anthropic, sandbox.url)
    batch = until_ended(provider, provider.submit_batch(written(provider, tmp_path, 5), 5, MARKER))
    now = datetime.now(UTC)
    found = provider.find_batch(MARKER, 5, now, ())
    assert found is not None and found.id == batch.id
    assert provider.find_batch(MARKER, 5, now, {batch.id}) is None, "another row of ours has it"
    assert provider.find_batch(MARKER, 6, now, ()) is None, "another number of lines"
    assert provider.find_batch(MARKER, 5, now + timedelta(hours=1), ()) is None, "it was there before"
    assert provider.find_batch(MARKER, 5, now - timedelta(hours=2), ()) is None, "no submit lasts so long"


@every_adapter
def test_a_batch_is_found_among_hundreds(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 0})
    provider = make(adapter, sandbox.url)
    mine = provider.submit_batch(written(provider, tmp_path, 2), 2, MARKER)
    for number in range(120):
        marker = f"other{number}"
        provider.submit_batch(written(provider, tmp_path, 1, marker), 1, marker)
    until_ended(provider, mine)
    found = provider.find_batch(MARKER, 2, datetime.now(UTC), ())
    assert found is not None and found.id == mine.id
