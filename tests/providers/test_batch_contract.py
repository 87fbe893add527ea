"""The contract of batches: what every batch adapter must do, over real HTTP against the sandbox's batch APIs."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.xai import XAI
from providers.base import (
    BatchProvider,
    ChatRequest,
    ErrorCategory,
    Image,
    LineResult,
    RemoteState,
)
from tests.providers.batch_adapters import (
    MARKER,
    PATHS,
    codes,
    every_adapter,
    failure_of,
    make,
    question,
    until_ended,
    written,
)
from tests.sandbox_fixture import SandboxServer


@pytest.fixture(autouse=True)
def _quiet(sandbox: SandboxServer) -> Iterator[None]:
    """No batch of one test is left to the next one."""
    yield
    sandbox.clear()


RATING = {
    "type": "object",
    "properties": {"starRating": {"type": "integer"}, "title": {"type": "string"}},
    "required": ["starRating", "title"],
}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


@every_adapter
def test_a_batch_is_answered_as_fast_calls_are(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 0.4})
    provider: BatchProvider = make(adapter, sandbox.url)
    submitted = provider.submit_batch(written(make(adapter, sandbox.url), tmp_path, 60), 60, MARKER)
    assert submitted.state is RemoteState.WAITING
    ended = until_ended(provider, submitted)
    assert (ended.id, ended.state, ended.total, ended.finished) == (submitted.id, RemoteState.ENDED, 60, 60)
    results = {result.custom_id: result.answer for result in provider.batch_results(ended)}
    assert list(results) != sorted(results), "no provider promises an order"
    for number in (0, 7, 59):
        fast = provider.complete(question(number))
        slow = results[f"{MARKER}-{number}"]
        assert slow is not None
        assert (slow.text, slow.model, slow.input_tokens, slow.output_tokens, slow.finish_reason) == (
            fast.text,
            fast.model,
            fast.input_tokens,
            fast.output_tokens,
            fast.finish_reason,
        )
    assert sandbox.billed() == dict.fromkeys(results, 1)
    assert len(results) == 60


@every_adapter
def test_photos_are_rated_as_in_fast_calls(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 0.2})
    provider = make(adapter, sandbox.url)
    images = (Image(data=PNG, media_type="image/png"), Image(url="https://example.com/a.png"), Image(data=b"no photo"))
    asked = {
        f"{MARKER}-{number}": ChatRequest(
            prompt="Rate it", reference="r", timeout_seconds=5, images=(image,), schema=RATING
        )
        for number, image in enumerate(images)
    }
    file = tmp_path / "lines"
    file.write_bytes(b"".join(provider.batch_line(*each) for each in asked.items()))
    ended = until_ended(provider, provider.submit_batch(file, 3, MARKER))
    results = {result.custom_id: result for result in provider.batch_results(ended)}
    for custom_id, request in list(asked.items())[:2]:
        answer = results[custom_id].answer
        assert answer is not None and answer.text == provider.complete(request).text
    error = results[f"{MARKER}-2"].error
    fast = failure_of(provider.complete, asked[f"{MARKER}-2"])
    assert error is not None and error.permanent
    assert (error.category, error.permanent) == (fast.category, fast.permanent)


@every_adapter
def test_its_progress_only_grows(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(batches={"seconds": 1.5})
    provider = make(adapter, sandbox.url)
    batch = provider.submit_batch(written(provider, tmp_path, 40), 40, MARKER)
    seen: list[int | None] = []
    while batch.state is RemoteState.WAITING:
        seen.append(batch.finished)
        time.sleep(0.05)
        batch = provider.look_at_batch(batch.id)
    if adapter is Anthropic:
        assert set(seen) == {None}, "it says nothing before the end"
    else:
        known = [each or 0 for each in seen]
        assert known == sorted(known)
        assert {0} < set(known) and max(known) <= 40
    assert batch.finished == 40


@every_adapter
def test_what_becomes_of_lines(adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path) -> None:
    faults: tuple[str, ...] = ("failed", "refused", "expired", "missing", "twice", "unknown", "broken")
    if adapter is Gemini:
        faults = tuple(fault for fault in faults if fault != "expired")  # nothing comes of one that expired
    sandbox.configure(batches={"seconds": 0.3, "line_faults": dict.fromkeys(faults, 0.1)})
    provider = make(adapter, sandbox.url)
    ended = until_ended(provider, provider.submit_batch(written(provider, tmp_path, 400), 400, MARKER))
    results = list(provider.batch_results(ended))
    ours = [result for result in results if result.custom_id.startswith(f"{MARKER}-")]
    assert len(results) > len(ours), "strangers came along"
    assert all(result.custom_id for result in results), "the broken ones tell whose they were"
    assert len({result.custom_id for result in ours}) < len(ours), "some came twice"
    assert len({result.custom_id for result in ours}) < 400, "some are missing"
    answered = {result.custom_id for result in ours if result.answer is not None}
    broken = {result.custom_id for result in ours if result.error and result.error.code == "invalid_response"}
    assert set(sandbox.billed()) == answered | broken
    assert broken
    errors = {result.error.code: result.error for result in ours if result.error is not None}
    permanent = {code for code, error in errors.items() if error.permanent}
    assert len(permanent) == 1, errors
    transient = {error.category for error in errors.values() if not error.permanent}
    assert ErrorCategory.SERVER in transient
    if adapter is not Gemini:
        assert errors["batch_expired"].category is ErrorCategory.TIMEOUT
        assert not errors["batch_expired"].permanent


@every_adapter
def test_a_cancelled_batch_keeps_what_was_answered(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 6})
    provider = make(adapter, sandbox.url)
    batch = provider.submit_batch(written(provider, tmp_path, 200), 200, MARKER)
    while sum(sandbox.billed().values()) < 5:
        time.sleep(0.05)
    provider.cancel_batch(batch.id)
    ended = until_ended(provider, batch)
    assert ended.state is RemoteState.ENDED
    results = list(provider.batch_results(ended))
    answered = {result.custom_id for result in results if result.answer is not None}
    assert answered == set(sandbox.billed())
    assert 5 <= len(answered) < 200
    assert codes(results) == {"": len(answered), "batch_cancelled": 200 - len(answered)}
    cancelled = next(result.error for result in results if result.error is not None)
    assert (cancelled.permanent, cancelled.category) == (False, ErrorCategory.CANCELLED)
    provider.cancel_batch(batch.id)  # once more does no harm


@every_adapter
def test_what_is_not_there_is_not_found(adapter: type[BatchAdapter], sandbox: SandboxServer) -> None:
    provider = make(adapter, sandbox.url)
    for call in (provider.look_at_batch, provider.cancel_batch):
        assert failure_of(call, "batches/nothing").category is ErrorCategory.NOT_FOUND


@pytest.mark.parametrize("adapter", [each for each in PATHS if each is not XAI], ids=lambda adapter: adapter.__name__)
def test_a_download_that_was_cut_is_read_again(
    adapter: type[BatchAdapter], sandbox: SandboxServer, tmp_path: Path
) -> None:
    sandbox.configure(batches={"seconds": 0.2, "download_cuts": 1})
    provider = make(adapter, sandbox.url)
    ended = until_ended(provider, provider.submit_batch(written(provider, tmp_path, 50), 50, MARKER))
    first: list[LineResult] = []
    error = failure_of(first.extend, provider.batch_results(ended))
    assert (error.category, error.permanent) == (ErrorCategory.NETWORK, False)
    assert 10 < len(first) < 50
    assert {result.error for result in first} == {None}, "no line that was cut is taken for a result"
    assert len(list(provider.batch_results(ended))) == 50


@every_adapter
def test_ids_and_limits(adapter: type[BatchAdapter]) -> None:
    provider = make(adapter, "http://127.0.0.1:1")
    line = provider.batch_line("A-z_9" + "0" * 59, question(1))
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    for wrong in ("", "a b", "ä", "a" * 65, 'a"', "a\n"):
        with pytest.raises(ValueError, match="no id"):
            provider.batch_line(wrong, question(1))
    limits = provider.batch_limits
    assert 10_000 <= limits.lines <= 100_000
    assert 25_000_000 <= limits.size <= 1_000_000_000


def test_gemini_runs_one_model_per_batch() -> None:
    provider = make(Gemini, "http://127.0.0.1:1")
    asked = ChatRequest(prompt="x", reference="r", timeout_seconds=1, model="another")
    assert failure_of(provider.batch_line, "a", asked).permanent
