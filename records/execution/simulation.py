"""Operations one after the other, in memory: what each of them finds, and what is left to be written at the end.

The rows are locked, so nothing changes meanwhile: an operation sees what those before it did, although the database is
told all of it by one statement of each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batches.api.shapes import instant
from records.execution.operations import Create, Delete, Operation, Read, Refused, Update
from records.fields import Values
from records.models import Record, Topic
from records.outcomes import Code, Failure, Outcome, Status, failed, skipped, succeeded
from records.shapes import entry_shape


@dataclass(slots=True)
class Writes:
    """What the operations came to. A memory is in one of the four at most."""

    created: list[Record] = field(default_factory=list)
    changed: dict[int, Record] = field(default_factory=dict)
    read: dict[int, Record] = field(default_factory=dict)
    deleted: dict[int, Record] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    """The columns in which any of the changed ones was changed."""


@dataclass(slots=True)
class Simulation:
    """The owner's memories as they are, and what the operations make of them."""

    owner_id: int
    now: datetime
    memories: dict[str, Record]
    topics: Mapping[str, Topic]
    writes: Writes = field(default_factory=Writes)

    def run(self, operations: list[Operation], *, stop: bool, first_index: int = 0) -> list[Outcome]:
        """One outcome for each. With ``stop`` those after the first failure are skipped."""
        outcomes: list[Outcome] = []
        for index, operation in enumerate(operations):
            outcomes.append(self._apply(operation))
            if stop and outcomes[-1].status == Status.FAILED:
                rest = len(operations) - index - 1
                return outcomes + [skipped(after_failure(first_index + index))] * rest
        return outcomes

    def _apply(self, operation: Operation) -> Outcome:
        match operation:
            case Refused(failure=failure):
                return failed(failure)
            case Create(values=values):
                return self._create(values)
            case Read() | Update() | Delete():
                memory = self.memories.get(operation.id)
                if memory is None:
                    return failed(not_found())
                return self._act(operation, memory)
        raise TypeError(f"A {operation.type} changes no memory.")

    def _act(self, operation: Read | Update | Delete, memory: Record) -> Outcome:
        if isinstance(operation, Update):
            return self._update(memory, operation.values)
        if isinstance(operation, Delete):
            return self._delete(memory)
        return self._read(memory)

    def _create(self, values: Values) -> Outcome:
        memory = Record(owner_id=self.owner_id, created_at=self.now, updated_at=self.now, topic=None)
        if not self._set(memory, values):
            return failed(unknown_topic())
        self.writes.created.append(memory)
        return succeeded({"id": memory.public_id, "created_at": instant(self.now)}, memory)

    def _read(self, memory: Record) -> Outcome:
        memory.access_count += 1
        memory.last_accessed = self.now
        if memory.pk not in self.writes.changed:
            self.writes.read[memory.pk] = memory
        return succeeded(entry_shape(memory), memory)

    def _update(self, memory: Record, values: Values) -> Outcome:
        if not self._set(memory, values):
            return failed(unknown_topic())
        memory.updated_at = self.now
        self.writes.read.pop(memory.pk, None)
        self.writes.changed[memory.pk] = memory
        self.writes.columns.update(values)
        return succeeded({"id": memory.public_id, "updated_at": instant(self.now)}, memory)

    def _delete(self, memory: Record) -> Outcome:
        self.writes.read.pop(memory.pk, None)
        self.writes.changed.pop(memory.pk, None)
        self.writes.deleted[memory.pk] = memory
        del self.memories[memory.public_id]
        return succeeded({"id": memory.public_id, "deleted": True})

    def _set(self, memory: Record, values: Values) -> bool:
        """Set the attributes, unless the topic does not exist."""
        topic: Topic | None = None
        if values.get("topic_id") and (topic := self.topics.get(values["topic_id"])) is None:
            return False
        for name, value in values.items():
            if name == "topic_id":
                memory.topic = topic
            else:
                setattr(memory, name, value)
        return True


def not_found() -> Failure:
    """The memory is not there, or another owner's, which is the same."""
    return Failure(Code.NOT_FOUND, "Memory not found", {"field": "id"})


def unknown_topic() -> Failure:
    """There is no such topic of this owner."""
    return Failure(Code.VALIDATION_ERROR, "The topic does not exist.", {"field": "topic_id", "reason": "unknown_topic"})


def after_failure(index: int) -> Failure:
    """Not begun, since an earlier operation failed."""
    details: dict[str, Any] = {"failed_index": index}
    return Failure(Code.SKIPPED, f"Not executed, because operation {index} failed.", details)
