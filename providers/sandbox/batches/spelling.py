"""What a batch goes through, whoever runs it, and how a provider writes its lines and their results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from providers.sandbox.wire import Answer


class Phase(Enum):
    """Where a batch stands, whatever its provider calls it."""

    CHECKING = "checking"
    RUNNING = "running"
    FINISHING = "finishing"
    CANCELLING = "cancelling"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    COMPLETED = "completed"


ENDED = frozenset({Phase.REFUSED, Phase.CANCELLED, Phase.EXPIRED, Phase.COMPLETED})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a batch is refused. ``line`` counts from 1."""

    code: str
    message: str
    line: int | None = None


class Spelling(Protocol):
    """How a provider writes a line and its result."""

    refuses_wrong_lines: bool
    """Whether one wrong line refuses the whole batch; else it fails alone."""

    def read_line(self, content: Any) -> tuple[str, str, Any]:
        """Our id, the path and the body of the call that a line asks for. Raises anything for what is no line."""
        ...

    def result(self, custom_id: str, answer: Answer) -> bytes:
        """The result of a line that was run, well or not."""
        ...

    def ended(self, custom_id: str, phase: Phase) -> bytes:
        """The result of a line that was not run: cancelled or expired."""
        ...

    def broken(self, custom_id: str, result: bytes) -> bytes:
        """A result that cannot be read."""
        ...

    def wrong(self, custom_id: str, problem: Problem) -> bytes:
        """The result of a line that is none."""
        ...
