"""What can be done to memories, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from records.fields import Values
from records.outcomes import Failure
from records.search import SearchRequest


@dataclass(frozen=True, slots=True)
class Create:
    """A new memory with these values."""

    type: ClassVar[str] = "create"
    values: Values


@dataclass(frozen=True, slots=True)
class Read:
    """A memory, whole."""

    type: ClassVar[str] = "read"
    id: str


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the given fields of a memory, and leave the others."""

    type: ClassVar[str] = "update"
    id: str
    values: Values


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a memory for good."""

    type: ClassVar[str] = "delete"
    id: str


@dataclass(frozen=True, slots=True)
class Search:
    """Find memories by their words."""

    type: ClassVar[str] = "search"
    request: SearchRequest


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that makes no sense, and why. ``type`` as the client wrote it, where that is a type."""

    type: str | None
    failure: Failure


Operation = Create | Read | Update | Delete | Search | Refused
"""All of them."""


def named_ids(operations: list[Operation]) -> list[str]:
    """The memories that these operations name, each once."""
    return list(dict.fromkeys(one.id for one in operations if isinstance(one, Read | Update | Delete)))


def named_topics(operations: list[Operation]) -> list[str]:
    """The topics under which these operations would file memories."""
    given = (one.values.get("topic_id") for one in operations if isinstance(one, Create | Update))
    return list(dict.fromkeys(topic for topic in given if topic))
