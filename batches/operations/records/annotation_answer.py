"""What a model is asked for about a record, and how its answer is read.

Models without strict output wrap their JSON in a fence or a sentence, write tags as one text and numbers as texts. What
is meant is plain in each case, so it is read; what is missing or out of range is not made up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

from batches.operations.payload import is_storable

SCHEMA_NAME = "record_annotation"
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "description": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "category": {"type": "string"},
        "qualityScore": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["description", "tags", "category", "qualityScore"],
    "additionalProperties": False,
}
LONGEST_DESCRIPTION = 1_000
LONGEST_CATEGORY = 100
LONGEST_TAG = 100
MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a model said about a record, fit to be stored. ``quality`` in [0, 1]."""

    description: str
    tags: list[str]
    category: str
    quality: float

    @property
    def shape(self) -> dict[str, Any]:
        """In document 004's words."""
        return {
            "description": self.description,
            "tags": self.tags,
            "category": self.category,
            "qualityScore": self.quality,
        }


def read_annotation(text: str) -> Annotation | None:
    """The annotation in a model's answer, or None where something that was asked for is not in it."""
    answer = _object(text)
    if answer is None:
        return None
    description = _text(answer.get("description"), LONGEST_DESCRIPTION)
    category = _text(answer.get("category"), LONGEST_CATEGORY)
    tags = _tags(answer.get("tags"))
    quality = _share(answer.get("qualityScore"))
    if not description or not category or tags is None or quality is None:
        return None
    return Annotation(description, tags, category, quality)


def _object(text: str) -> dict[str, Any] | None:
    for candidate in (text, text[text.find("{") : text.rfind("}") + 1]):
        try:
            answer = orjson.loads(candidate)
        except ValueError:
            continue
        return answer if isinstance(answer, dict) else None
    return None


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or not is_storable(value):
        return ""
    return value.strip()[:longest].rstrip()


def _tags(value: object) -> list[str] | None:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list):
        return None
    tags = [_text(tag, LONGEST_TAG) for tag in given]
    return list(dict.fromkeys(tag for tag in tags if tag))[:MOST_TAGS]


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        share = float(value)
    except ValueError:
        return None
    return share if math.isfinite(share) and 0 <= share <= 1 else None
