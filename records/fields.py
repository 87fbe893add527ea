"""The fields of a memory as clients send them: read by hand, every problem named, nothing guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batches.operations.payload import Problems, document_problems, text_fault
from records.filters import is_uuid
from records.models import MemoryStatus, MemoryType
from records.models.record import LONGEST_CONTENT

LONGEST_TITLE = 500
LONGEST_SUMMARY = 1_000
LONGEST_PROJECT = 255
LONGEST_TAG = 100
MOST_TAGS = 100

Values = dict[str, Any]
"""Attributes of a record; ``topic_id`` is the topic's public id, or None."""
Reader = Callable[[Any, str, Problems], Any]


def read_values(data: Mapping[str, Any], problems: Problems, *, creating: bool, path: str = "") -> Values:
    """The fields that are given, as attributes of a record. A create needs a content; of others nothing is required.

    Unknown fields are left alone: whether they are a mistake is for the front door to say (:func:`unknown_fields`).
    """
    prefix = f"{path}." if path else ""
    values: Values = {}
    if creating and "content" not in data:
        _content(None, f"{prefix}content", problems)
    for name, read in READERS.items():
        if name in data:
            values[name] = read(data[name], f"{prefix}{name}", problems)
    return values


def unknown_fields(data: Mapping[str, Any], problems: Problems, *, known: frozenset[str], path: str = "") -> None:
    """Note every field that has another name than the known ones."""
    prefix = f"{path}." if path else ""
    for name in data:
        if name not in known:
            shown = name[:100].encode(errors="replace").decode().replace("\x00", "?")
            problems.add(f"{prefix}{shown}", "Is not a known field.", "unknown_field")


def _content(value: Any, path: str, problems: Problems) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.add(path, "Content is required", "required")  # in document 003's words
    elif fault := text_fault(value, maximum=LONGEST_CONTENT):
        problems.add(path, *fault)
    return value


def _text(maximum: int, *, nullable: bool = False) -> Reader:
    def read(value: Any, path: str, problems: Problems) -> str:
        if value is None and not nullable:
            problems.add(path, "Must not be null.", "invalid_type")
        elif fault := text_fault(value, maximum=maximum, required=False):
            problems.add(path, *fault)
        return value or ""

    return read


def _choice(choices: list[str]) -> Reader:
    def read(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, str) or value not in choices:
            problems.add(path, f"Must be one of {', '.join(choices)}.", "invalid_choice")
        return value

    return read


def _topic(value: Any, path: str, problems: Problems) -> str | None:
    if value is not None and not (isinstance(value, str) and is_uuid(value)):
        problems.add(path, "Must be the UUID of a topic, or null.", "invalid_uuid")
        return None
    return value.lower() if value else None


def _tags(value: Any, path: str, problems: Problems) -> list[str]:
    if not isinstance(value, list):
        problems.add(path, "Must be a list of strings.", "invalid_type")
        return []
    if len(value) > MOST_TAGS:
        problems.add(path, f"At most {MOST_TAGS} tags.", "too_many")
        return []
    for index, tag in enumerate(value):
        if fault := text_fault(tag, maximum=LONGEST_TAG):
            problems.add(f"{path}.{index}", *fault)
    return list(dict.fromkeys(tag for tag in value if isinstance(tag, str)))


def _metadata(value: Any, path: str, problems: Problems) -> dict[str, Any]:
    if not isinstance(value, dict):
        problems.add(path, "Must be an object.", "invalid_type")
        return {}
    problems.extend(document_problems(value, path))
    return value


READERS: dict[str, Reader] = {
    "content": _content,
    "title": _text(LONGEST_TITLE),
    "summary": _text(LONGEST_SUMMARY, nullable=True),
    "memory_type": _choice(MemoryType.values),
    "status": _choice(MemoryStatus.values),
    "topic_id": _topic,
    "project_ref": _text(LONGEST_PROJECT, nullable=True),
    "tags": _tags,
    "metadata": _metadata,
}

FIELDS = frozenset(READERS)
"""What a memory may be given."""
