"""The contract of batches: what every batch adapter must do, over real HTTP against the sandbox's batch APIs."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
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
    ErrorCategory,
    Image,
    Limits,
    LineResult,
    ProviderError,
    RemoteBatch,
    RemoteState,
)
from tests.sandbox_fixture import SandboxServer, free_port

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
RATING = {
    "type": "object",
    "properties": {"starRating": {"type": "integer"}, "title": {"type": "string"}},
    "required": ["starRating", "title"],
}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
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
def test_what_is_not_there_is_not_found(adapter: type[BatchAdapter], sandbox: SandboxServer) -> None:
    provider = make(adapter, sandbox.url)
    for call in (provider.look_at_batch, provider.cancel_batch):
        assert failure_of(call, "batches/nothing").category is ErrorCategory.NOT_FOUND


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


@pytest.fixture(autouse=True)
def _quiet(sandbox: SandboxServer) -> Iterator[None]:
    """No batch of one test is left to the next one."""
    yield
    sandbox.clear()
