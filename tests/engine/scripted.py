"""An operation and two providers that do what a test tells them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gevent

from batches.operations.base import Attempt, Operation
from batches.outcomes import Outcome, Succeeded
from batches.states import Channel
from providers.base import ErrorCategory, Limits, ProviderError

REPEATABLE = "repeatable"
"""A provider whose calls may be made twice."""
ONCE_ONLY = "once-only"
"""A provider whose calls reach a person."""


class Repeatable:
    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = False

    def __init__(
        self, *, alias: str, key: str, limits: Limits, uses_sandbox: bool, base_url: str, model: str = ""
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox


class OnceOnly(Repeatable):
    idempotent: ClassVar[bool] = False


class RepeatableByTheDoor(Repeatable):
    """Its script calls :func:`providers.departure.depart` when only the first byte is missing, as the door does."""

    departs: ClassVar[bool] = True


class OnceByTheDoor(OnceOnly):
    departs: ClassVar[bool] = True


class Script:
    """What the operation does, and every call that reached it."""

    def __init__(self) -> None:
        self.calls: list[Attempt] = []
        self.act: Callable[[Attempt], Any] = succeed

    @property
    def keys(self) -> list[str]:
        """The keys of the items that were called, in order."""
        return [call.key for call in self.calls]

    def reset(self) -> None:
        self.calls = []
        self.act = succeed


def succeed(attempt: Attempt) -> Outcome:
    return Succeeded({"key": attempt.key}, provider_reference=f"ref-{attempt.key}")


def take(seconds: float) -> Callable[[Attempt], Outcome]:
    """A call that takes so long and then succeeds."""

    def act(attempt: Attempt) -> Outcome:
        gevent.sleep(seconds)
        return succeed(attempt)

    return act


def too_many(retry_after: float | None) -> Callable[[Attempt], Outcome]:
    """A provider that answers 429."""
    return fail(ErrorCategory.RATE_LIMIT, retry_after=retry_after, surely_not_sent=True)


def fail(
    category: ErrorCategory = ErrorCategory.SERVER,
    *,
    permanent: bool = False,
    surely_not_sent: bool = False,
    retry_after: float | None = None,
) -> Callable[[Attempt], Outcome]:
    """A provider that answers with an error."""

    def act(attempt: Attempt) -> Outcome:
        raise ProviderError(
            "It did not work.",
            category=category,
            code=f"{category}_error",
            permanent=permanent,
            surely_not_sent=surely_not_sent,
            retry_after=retry_after,
        )

    return act


script = Script()


class Scripted(Operation):
    name: ClassVar[str] = "scripted"
    channel: ClassVar[Channel] = Channel.AI

    def run(self, attempt: Attempt) -> Outcome:
        script.calls.append(attempt)
        outcome: Outcome = script.act(attempt)
        return outcome


def entry(adapter: type[Repeatable], **limits: Any) -> dict[str, Any]:
    """An entry of ``settings.PROVIDERS``."""
    return {
        "adapter": f"{__name__}.{adapter.__name__}",
        "base_url": "https://provider.example/v1",
        "key_variable": "NO_SUCH_KEY_IN_TESTS",
        "model": "test",
        "limits": limits,
    }
