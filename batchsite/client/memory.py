"""Memory operations (document 003): any number of them, in requests of a hundred, put together again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchsite.client.errors import BatchClientError, OperationsInterrupted

MOST_OPERATIONS = 100
MOST_BYTES = 9_500_000
"""Of one request's operations; the server takes 10 MB, options and commas included."""
SUMMARY_OF = {"create": "creates", "read": "reads", "update": "updates", "delete": "deletes", "search": "searches"}

Send = Callable[[list[Mapping[str, Any]], int], Mapping[str, Any]]
"""Operations of one part and its number, to the answer's ``data``."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of one operation: ``status`` is success, failed or skipped."""

    index: int
    type: str
    status: str
    result: Any = None
    error: Mapping[str, Any] | None = None

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return self.status == "success"


@dataclass(slots=True)
class OperationsResult:
    """All operations, in the order they were given. ``execution_time`` is the server's, in milliseconds."""

    batch_ids: list[str] = field(default_factory=list)
    processed: int = 0
    failed: int = 0
    total: int = 0
    execution_time: float = 0
    operations: list[OperationResult] = field(default_factory=list)
    summary: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMMARY_OF.values(), 0))

    @property
    def batch_id(self) -> str:
        """Of the first request."""
        return self.batch_ids[0] if self.batch_ids else ""

    @property
    def skipped(self) -> int:
        """Operations that were not tried, because one before them failed."""
        return self.total - self.processed - self.failed

    @property
    def failures(self) -> list[OperationResult]:
        """Those that failed, with ``index`` and ``error``."""
        return [operation for operation in self.operations if operation.status == "failed"]

    def add(self, data: Mapping[str, Any]) -> None:
        """Append a part, its indices moved behind those that are there."""
        offset = len(self.operations)
        self.batch_ids.append(data["batch_id"])
        self.processed += data["processed"]
        self.failed += data["failed"]
        self.execution_time += data["execution_time"]
        for entry in data["operations"]:
            self.operations.append(
                OperationResult(
                    index=offset + entry["index"],
                    type=entry["type"],
                    status=entry["status"],
                    result=entry.get("result"),
                    error=entry.get("error"),
                )
            )
        for name, count in (data.get("summary") or {}).items():
            self.summary[name] = self.summary.get(name, 0) + count

    def skip(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Say of the rest that it was not tried."""
        for operation in operations:
            kind = str(operation.get("type", ""))
            self.operations.append(OperationResult(index=len(self.operations), type=kind, status="skipped"))


def run_operations(operations: Sequence[Mapping[str, Any]], send: Send, *, continue_on_error: bool) -> OperationsResult:
    """Send the operations part by part. A failure ends it, unless ``continue_on_error``, as it does within a part.

    Raises what ``send`` raises for the first part, and :class:`OperationsInterrupted` for a later one.
    """
    result = OperationsResult(total=len(operations))
    for number, part in enumerate(_parts(operations)):
        try:
            data = send(part, number)
        except BatchClientError as error:
            if number == 0:
                raise
            done = len(result.operations)
            result.skip(operations[done:])
            message = f"Operations from index {done} on were not sent, or their answer was lost: {error}"
            raise OperationsInterrupted(message, result) from error
        result.add(data)
        if result.failed and not continue_on_error:
            break
    result.skip(operations[len(result.operations) :])
    return result


def _parts(operations: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Parts within both limits; an operation that is too large by itself goes alone, for the server to refuse."""
    if not operations:
        yield []  # the server says what is wrong with it
        return
    part: list[Mapping[str, Any]] = []
    size = 0
    for operation in operations:
        bytes_of_it = len(json.dumps(operation, ensure_ascii=False).encode("utf-8", "replace"))
        if part and (len(part) == MOST_OPERATIONS or size + bytes_of_it > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(operation)
        size += bytes_of_it + 2
    yield part
