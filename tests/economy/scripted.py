"""A provider with a batch API that does what a test tells it to, and remembers what it billed."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from batches.operations.base import Attempt, Operation
from batches.outcomes import Outcome, Succeeded
from batches.states import Channel
from providers.base import (
    BatchLimits,
    ChatAnswer,
    ChatRequest,
    ErrorCategory,
    LineResult,
    ProviderError,
    RemoteBatch,
    RemoteState,
)
from tests.engine.scripted import Repeatable

ALIAS = "batcher"
PLAIN = "plain"
"""A provider without a batch API."""
PRICES = {
    "input_per_million": 2,
    "output_per_million": 8,
    "economy_input_per_million": 1,
    "economy_output_per_million": 4,
    "currency": "USD",
    "as_of": "2026-11-21",
}


def failure(code: str, category: ErrorCategory = ErrorCategory.SERVER, **facts: Any) -> ProviderError:
    values = {"permanent": False, "surely_not_sent": False} | facts
    return ProviderError(f"It did not work: {code}.", category=category, code=code, **values)


def answer(text: str) -> ChatAnswer:
    return ChatAnswer(text=text, model="test", input_tokens=100, output_tokens=10)


def echo(custom_id: str, prompt: str) -> LineResult:
    return LineResult(custom_id=custom_id, answer=answer(f"re: {prompt}"))


@dataclass(slots=True)
class Stored:
    """A batch as the provider has it."""

    id: str
    marker: str
    lines: list[tuple[str, str]]
    created_at: datetime
    cancelled: bool = False


@dataclass
class Remote:
    """The provider's side. ``state`` decides where a batch stands; ``results`` what came of it, in which order."""

    batches: dict[str, Stored] = field(default_factory=dict)
    billed: Counter[str] = field(default_factory=Counter)
    calls: list[str] = field(default_factory=list)
    submits: int = 0
    asked_fast: list[str] = field(default_factory=list)
    on_submit: Callable[[], None] = lambda: None
    after_submit: Callable[[], None] = lambda: None
    on_find: Callable[[], None] = lambda: None
    on_look: Callable[[], None] = lambda: None
    state: Callable[[Stored], RemoteState] = lambda stored: RemoteState.ENDED
    refusal: Callable[[Stored], tuple[ProviderError | None, dict[str, Any]]] = lambda stored: (None, {})
    line: Callable[[str, str], LineResult] = echo
    results: Callable[[Stored, list[LineResult]], Iterable[LineResult]] = lambda stored, lines: lines
    detail: dict[str, Any] = field(default_factory=dict)
    """What it says of a batch besides."""
    marks: bool = True
    """Whether it keeps markers, as all but Anthropic do."""

    def reset(self) -> None:
        self.__dict__.update(Remote().__dict__)


remote = Remote()
_ids = itertools.count(1)


class Chatter(Repeatable):
    """Answers one question at a time."""

    def complete(self, request: ChatRequest) -> ChatAnswer:
        remote.asked_fast.append(request.prompt)
        return answer(f"fast: {request.prompt}")


class Batcher(Chatter):
    """Answers batches as :data:`remote` says."""

    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=1000, size=1_000_000)

    def batch_line(self, custom_id: str, request: ChatRequest) -> bytes:
        return json.dumps([custom_id, request.prompt]).encode() + b"\n"

    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        remote.calls.append("submit")
        remote.on_submit()
        read = [tuple(json.loads(line)) for line in lines.read_text().splitlines()]
        assert len(read) == number
        stored = Stored(f"remote-{next(_ids)}", marker, read, datetime.now(UTC))
        remote.batches[stored.id] = stored
        remote.submits += 1
        remote.after_submit()
        return RemoteBatch(id=stored.id, state=RemoteState.WAITING)

    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        remote.calls.append("find")
        remote.on_find()
        for stored in remote.batches.values():
            adopted = stored.id not in known and len(stored.lines) == number and stored.created_at >= since
            if stored.marker == marker if remote.marks else adopted:
                return RemoteBatch(id=stored.id, state=RemoteState.WAITING)
        return None

    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        remote.calls.append("look")
        remote.on_look()
        stored = remote.batches.get(remote_id)
        if stored is None:
            raise failure("not_found", ErrorCategory.NOT_FOUND, permanent=True)
        state = remote.state(stored)
        error, detail = (
            remote.refusal(stored) if state is RemoteState.FAILED else (None, {"file": stored.id, **remote.detail})
        )
        return RemoteBatch(id=remote_id, state=state, total=len(stored.lines), finished=1, detail=detail, error=error)

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        remote.calls.append("results")
        assert batch.detail["file"] == batch.id
        stored = remote.batches[batch.id]
        yield from remote.results(stored, [remote.line(custom_id, prompt) for custom_id, prompt in stored.lines])

    def cancel_batch(self, remote_id: str) -> None:
        remote.calls.append("cancel")
        remote.batches[remote_id].cancelled = True


class Asking(Operation):
    """Asks about its item's key; as often as its batch's parameters say, each time with the last answer in it."""

    name: ClassVar[str] = "asking"
    channel: ClassVar[Channel] = Channel.AI
    asks_models: ClassVar[bool] = True
    act: ClassVar[Callable[[Attempt], Outcome] | None] = None

    def run(self, attempt: Attempt) -> Outcome:
        if Asking.act is not None:
            return Asking.act(attempt)
        return ask_so_often(attempt, attempt.parameters.get("questions", 1))


def ask_so_often(attempt: Attempt, number: int) -> Outcome:
    text = attempt.key
    for _ in range(number):
        text = attempt.ask(question(attempt, text)).text
    return Succeeded({"text": text}, quality=0.5)


def question(attempt: Attempt, prompt: str) -> ChatRequest:
    return ChatRequest(prompt=prompt, reference=attempt.reference, timeout_seconds=attempt.timeout_seconds)
