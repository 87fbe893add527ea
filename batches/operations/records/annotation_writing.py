"""Where a model's annotation goes in its record, so that nothing the owner wrote is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from batches.operations.records.annotation_answer import Annotation
from records.models import Record

WRITTEN = ("summary", "tags", "category", "quality", "status")
"""What can be chosen; ``metadata.annotation`` and ``metadata.annotation_status`` are always written."""
WRITE_PAUSES_SECONDS = (0.2, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Writing:
    """What an annotation changes in a record: all its tags, those of them that are new, and the fields it fills."""

    tags: list[str]
    added: list[str]
    filled: list[str]

    @classmethod
    def of(cls, record: Record, annotation: Annotation, wanted: Sequence[str]) -> Writing:
        """What the owner wrote stays; what an earlier annotation wrote and nobody changed since is replaced."""
        noted = record.metadata.get("annotation")
        earlier: Mapping[str, Any] = noted if isinstance(noted, dict) else {}
        present = {"summary": record.summary, "category": record.metadata.get("category")}
        said = {"summary": earlier.get("description"), "category": earlier.get("category")}
        filled = [
            name
            for name, value in present.items()
            if name in wanted
            and (value in (None, "") or (name in _names(earlier.get("filled")) and value == said[name]))
        ]
        if "tags" not in wanted:
            return cls(list(record.tags), _names(earlier.get("addedTags")), filled)
        ours = set(_names(earlier.get("addedTags")))
        kept = [tag for tag in record.tags if tag not in ours]
        added = [tag for tag in annotation.tags if tag not in kept]
        return cls([*kept, *added], added, filled)


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _note(annotation: Annotation, writing: Writing, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept as ``metadata.annotation``; ``addedTags`` and ``filled`` let the next annotation take it back."""
    return {
        **annotation.shape,
        "addedTags": writing.added,
        "filled": writing.filled,
        "annotatedAt": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **about,
    }


# The summary is searched: to name that column computes the search index anew, so it is named only where it changes.
_WRITE = """
    UPDATE records_record
       SET metadata = metadata || %s::jsonb, tags = %s, quality = COALESCE(%s, quality),
           status = CASE WHEN %s AND status = 'pending' THEN 'annotated' ELSE status END,
           updated_at = clock_timestamp()
     WHERE id = %s AND updated_at = %s
"""
_WRITE_WITH_SUMMARY = _WRITE.replace("tags = %s,", "tags = %s, summary = %s,")


def write_patiently(record: Record, annotation: Annotation, *, wanted: Sequence[str], about: Mapping[str, Any]) -> bool:
    """The same, tried again while the database is away for a moment: the answer is in hand, and was paid for."""
    for pause in WRITE_PAUSES_SECONDS:
        try:
            return write_annotation(record, annotation, wanted=wanted, about=about)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block:
                raise
            connection.close()
            time.sleep(pause)
    return write_annotation(record, annotation, wanted=wanted, about=about)


def write_annotation(
    record: Record, annotation: Annotation, *, wanted: Sequence[str], about: Mapping[str, Any]
) -> bool:
    """One conditional UPDATE; False when the record was changed or deleted since it was read."""
    writing = Writing.of(record, annotation, wanted)
    metadata = {"annotation": _note(annotation, writing, about), "annotation_status": "done"}
    if "category" in writing.filled:
        metadata["category"] = annotation.category
    with_summary = "summary" in writing.filled
    values: list[Any] = [
        json.dumps(metadata, ensure_ascii=False),
        writing.tags,
        *([annotation.description] if with_summary else []),
        annotation.quality if "quality" in wanted else None,
        "status" in wanted,
        record.pk,
        record.updated_at,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_WITH_SUMMARY if with_summary else _WRITE, values)
        return bool(cursor.rowcount == 1)
