"""A record's own fields as operations change and show them: their columns, what they may hold, what empty means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batches.operations.payload import text_fault
from records.models import MemoryType
from records.models.record import LONGEST_CONTENT

METADATA = "metadata"
LONGEST_TAG = 100
MOST_TAGS = 100


@dataclass(frozen=True, slots=True)
class RecordField:
    """A field. ``longest``: of a text; None for other kinds. ``empty``: its value where it has none."""

    column: str
    longest: int | None = None
    empty: Any = None
    nullable: bool = False
    choices: tuple[str, ...] = ()
    sql_type: str = "text"


FIELDS: Mapping[str, RecordField] = {
    "title": RecordField("title", 500, ""),
    "content": RecordField("content", LONGEST_CONTENT, ""),
    "summary": RecordField("summary", 1_000, ""),
    "kind": RecordField("kind", 32),
    "status": RecordField("status", 64),
    "memory_type": RecordField("memory_type", 32, choices=tuple(MemoryType.values)),
    "project_ref": RecordField("project_ref", 255, ""),
    "quality": RecordField("quality", nullable=True, sql_type="float8"),
    "relevance_score": RecordField("relevance", nullable=True, sql_type="float8"),
    "tags": RecordField("tags", empty=[], sql_type="text[]"),
}
"""The fields that can be changed, by the names clients use."""


def field_fault(name: str, value: object) -> tuple[str, str] | None:
    """Message and code of what keeps the field from having this value, or None."""
    field = FIELDS[name]
    if name == "tags":
        return _tags_fault(value)
    if field.longest is None:
        return _share_fault(value)
    if fault := text_fault(value, maximum=field.longest, required=field.empty is None):
        return fault
    if value is None:
        return "Must be a string.", "invalid_type"
    if field.choices and value not in field.choices:
        return f"Must be one of {', '.join(field.choices)}.", "invalid_choice"
    return None


def _share_fault(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "Must be a number, or null.", "invalid_type"
    return None if 0 <= value <= 1 else ("Must be between 0 and 1.", "out_of_range")


def _tags_fault(value: object) -> tuple[str, str] | None:
    if not isinstance(value, list):
        return "Must be a list of strings.", "invalid_type"
    if len(value) > MOST_TAGS:
        return f"At most {MOST_TAGS} tags.", "too_many"
    return next((fault for tag in value if (fault := text_fault(tag, maximum=LONGEST_TAG))), None)
