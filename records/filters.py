"""Document 004's filters: a name and what it must be.

A name is a field of the record where there is one of that name, else a name in its metadata. A list means any of its
values. ``tags`` holds if the record has the tag, or any of the listed ones. An object given for a name of the metadata
must be contained in what is there. An empty filter matches everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q

from batches.operations.payload import Problems, document_problems, is_storable
from batches.problems import Problem

MOST_FILTERS = 20
MOST_CHOICES = 1_000
LONGEST_NAME = 255
LONGEST_TEXT = 1_000

TEXT_FIELDS = {
    "id": "public_id",
    "key": "key",
    "kind": "kind",
    "status": "status",
    "title": "title",
    "memory_type": "memory_type",
    "project_ref": "project_ref",
    "topic_id": "topic__public_id",
}
"""Fields of a record that a filter names, and where they are stored."""
NUMBER_FIELDS = {"quality": "quality", "relevance_score": "relevance", "access_count": "access_count"}
NULLABLE = {"key", "topic_id", "quality", "relevance_score"}
FIELDS = frozenset({*TEXT_FIELDS, *NUMBER_FIELDS, "tags"})


def condition(filters: Mapping[str, Any], *, path: str = "filters") -> Q:
    """The condition these filters stand for. Raises :class:`InvalidInput` naming every one that makes no sense."""
    problems = Problems()
    problems.extend(filter_problems(filters, path))
    problems.raise_if_any()
    whole = Q()
    for name, value in filters.items():
        whole &= _condition(name, value)
    return whole


def filter_problems(filters: object, path: str = "filters") -> list[Problem]:
    """Everything wrong with the filters as a client sent them."""
    if not isinstance(filters, Mapping):
        return [Problem(path, "Must be an object.", "invalid_type")]
    if len(filters) > MOST_FILTERS:
        return [Problem(path, f"At most {MOST_FILTERS} filters.", "too_many")]
    found: list[Problem] = []
    for name, value in filters.items():
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not is_storable(name):
            found.append(Problem(path, f"A filter's name has 1 to {LONGEST_NAME} characters.", "invalid_name"))
        else:
            found.extend(_value_problems(name, value, f"{path}.{name}"))
    return found


def _value_problems(name: str, value: object, path: str) -> list[Problem]:
    if not isinstance(value, list):
        return _choice_problems(name, value, path)
    if len(value) > MOST_CHOICES:
        return [Problem(path, f"At most {MOST_CHOICES} values.", "too_many")]
    return [one for index, choice in enumerate(value) for one in _choice_problems(name, choice, f"{path}.{index}")]


def _choice_problems(name: str, value: object, path: str) -> list[Problem]:
    if value is None and name in FIELDS:
        return [] if name in NULLABLE else [Problem(path, "Must not be null.", "invalid_type")]
    if name in TEXT_FIELDS or name == "tags":
        return _text_problems(name, value, path)
    if name in NUMBER_FIELDS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return [Problem(path, "Must be a number.", "invalid_type")]
        if not -(2**53) <= value <= 2**53:
            return [Problem(path, "Is out of range.", "out_of_range")]
        return []
    if isinstance(value, list):
        return [Problem(path, "Must not be a list within a list.", "invalid_type")]
    return list(document_problems(value, path))


def _text_problems(name: str, value: object, path: str) -> list[Problem]:
    if not isinstance(value, str):
        return [Problem(path, "Must be a string.", "invalid_type")]
    if len(value) > LONGEST_TEXT:
        return [Problem(path, f"Must have at most {LONGEST_TEXT} characters.", "too_long")]
    if not is_storable(value):
        return [Problem(path, "Must not hold NUL characters or lone surrogates.", "invalid_text")]
    if name == "topic_id" and not is_uuid(value):
        return [Problem(path, "Must be a UUID.", "invalid_uuid")]
    return []


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual spelling."""
    groups = text.split("-")
    return [len(group) for group in groups] == [8, 4, 4, 4, 12] and all(
        character in "0123456789abcdefABCDEF" for group in groups for character in group
    )


def _condition(name: str, value: Any) -> Q:
    choices: Sequence[Any] = value if isinstance(value, list) else [value]
    if name == "tags":
        return Q(tags__overlap=list(choices))
    if column := TEXT_FIELDS.get(name) or NUMBER_FIELDS.get(name):
        present = [choice for choice in choices if choice is not None]
        found = Q(**{f"{column}__in": present})
        return found | Q(**{f"{column}__isnull": True}) if len(present) < len(choices) else found
    found = Q(pk__in=[])  # any of nothing is nothing
    for choice in choices:
        found |= Q(metadata__contains={name: choice})
    return found
