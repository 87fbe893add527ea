"""Operations that misbehave: one kills its worker, one never ends, one answers what no ledger can hold."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

import gevent

from batches.operations import Attempt, Operation
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded
from batches.states import Channel
from providers.base import ErrorCategory

OPERATIONS = {
    "deadly": "tests.faults.operations.Deadly",
    "endless": "tests.faults.operations.Endless",
    "indigestible": "tests.faults.operations.Indigestible",
}
CALL_SECONDS = 0.5


class Deadly(Operation):
    """Kills its worker process for an item whose input says so."""

    name: ClassVar[str] = "deadly"
    channel: ClassVar[Channel] = Channel.AI

    def run(self, attempt: Attempt) -> Outcome:
        gevent.sleep(CALL_SECONDS)
        if attempt.input.get("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        return Succeeded({"alive": True})


def _nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"deeper": document}
    return document


def _raise(error: BaseException) -> Outcome:
    raise error


def _server_fault(**changes: Any) -> Fault:
    return Fault(**{"category": ErrorCategory.SERVER, "code": "x", "message": "x", **changes})


ANSWERS: dict[str, Callable[[], Any]] = {
    "nul": lambda: Succeeded({"text": "a\x00b", "key\x00": "\\u0000"}),
    "lone surrogate": lambda: Succeeded({"text": "\ud800", "\udfff": 1}),
    "not a number": lambda: Succeeded({"value": float("nan"), "others": [float("inf"), -float("inf")]}, float("nan")),
    "huge number": lambda: Succeeded({"value": 10**4000}),
    "number beyond every type": lambda: Succeeded({"value": 10**200_000}),
    "huge quality": lambda: Succeeded({}, 10**400),
    "too deep": lambda: Succeeded(_nested(900)),
    "much too deep": lambda: Succeeded(_nested(100_000)),
    "circle": lambda: Succeeded(_circle()),
    "no document": lambda: Succeeded(cast(Any, ["a list"])),
    "object": lambda: Succeeded({"value": object()}),
    "nothing": lambda: None,
    "text": lambda: "done",
    "reference of no text": lambda: Succeeded({}, provider_reference=cast(Any, 17)),
    "long reference": lambda: Succeeded({}, provider_reference="\x00" + "x" * 10_000),
    "fault of no kind": lambda: Rejected(_server_fault(category="y" * 500)),
    "fault of nothing": lambda: Rejected(cast(Any, None)),
    "endless delay": lambda: Snooze(float("inf")),
    "no delay": lambda: Retry(_server_fault(retry_after="soon")),
    "delay before the big bang": lambda: Retry(_server_fault(retry_after=-1e30)),
    "exception": lambda: _raise(ValueError("\x00\ud800")),
    "memory": lambda: _raise(MemoryError()),
    "recursion": lambda: _raise(RecursionError()),
    "exit": sys.exit,
    "keyboard": lambda: _raise(KeyboardInterrupt()),
    "greenlet exit": lambda: _raise(gevent.GreenletExit()),
    "end of a generator": lambda: _raise(GeneratorExit()),
}


def _circle() -> dict[str, Any]:
    document: dict[str, Any] = {}
    document["itself"] = document
    return document


class Endless(Operation):
    """The first call of an item that says so never ends, whoever interrupts it; a file remembers that it was made."""

    name: ClassVar[str] = "endless"
    channel: ClassVar[Channel] = Channel.AI

    def run(self, attempt: Attempt) -> Outcome:
        gevent.sleep(CALL_SECONDS)
        marker = attempt.input.get("endless")
        if marker and not Path(marker).exists():
            Path(marker).touch()
            while True:
                with contextlib.suppress(BaseException):
                    gevent.sleep(1)
        return Succeeded({"ended": True})


class Indigestible(Operation):
    """Returns what its item asks for; an item that asks for nothing succeeds."""

    name: ClassVar[str] = "indigestible"
    channel: ClassVar[Channel] = Channel.AI

    def run(self, attempt: Attempt) -> Outcome:
        kind = attempt.input.get("answer")
        if kind is None:
            time.sleep(CALL_SECONDS)
            return Succeeded({"fine": True})
        return cast(Outcome, ANSWERS[kind]())
