"""What became of one operation, in document 003's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from batches.problems import Problem
from records.models import Record


class Status(StrEnum):
    """How an operation ended. ``skipped``: it was not begun, because of an earlier one or for want of time."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class Code(StrEnum):
    """Why an operation has no result."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    NOT_FOUND = "NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    SKIPPED = "SKIPPED"
    DATABASE_ERROR = "DATABASE_ERROR"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Failure:
    """Document 003's ``error``."""

    code: Code
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, problems: tuple[Problem, ...]) -> Self:
        """Bad input: the first problem is what the message says; all of them are listed if there are more."""
        first = problems[0]
        details: dict[str, Any] = {"field": first.path}
        if len(problems) > 1 or first.code != "required":
            details["reason"] = first.code
        if len(problems) > 1:
            details["errors"] = [{"path": one.path, "message": one.message, "code": one.code} for one in problems]
        return cls(Code.VALIDATION_ERROR, first.message, details)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result, or why there is none. ``memory``: the one it was done to, as it is in the end."""

    status: Status
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    memory: Record | None = None


def succeeded(result: dict[str, Any], memory: Record | None = None) -> Outcome:
    """It was done."""
    return Outcome(Status.SUCCESS, result, memory=memory)


def failed(failure: Failure) -> Outcome:
    """It was not done, and this is why."""
    return Outcome(Status.FAILED, failure=failure)


def skipped(failure: Failure) -> Outcome:
    """It was not begun."""
    return Outcome(Status.SKIPPED, failure=failure)
