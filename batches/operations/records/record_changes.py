"""The little grammar of declared changes to records, and their application to one record.

``changes`` is a list of objects, applied in order, each with an ``action``:

    {"action": "set", "field": "status", "value": "active"}
    {"action": "rename", "field": "catgory", "to": "category", "overwrite": false}
    {"action": "remove", "field": "draft_note"}
    {"action": "map", "field": "category", "values": {"inv": "invoice"}, "otherwise": "keep"}
    {"action": "convert", "field": "amount", "type": "number"}
    {"action": "add_tags", "tags": ["2026"]}
    {"action": "remove_tags", "tags": ["old"]}
    {"action": "move_tags", "tags": {"invoices": "invoice"}}

A field is one of the record's own where there is one of that name, else a name in its metadata; ``metadata.status`` is
the name ``status`` in the metadata. A record to which one of the changes cannot be applied stays wholly as it was.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batches.operations.payload import (
    Problems,
    document_problems,
    is_storable,
    short_name,
    text_fault,
    unknown_fields,
)
from batches.operations.records.record_fields import FIELDS, LONGEST_TAG, METADATA, MOST_TAGS, field_fault

MOST_CHANGES = 50
MOST_MAPPED = 1_000
LONGEST_NAME = 255
READ_ONLY = frozenset({"id", "key", "topic_id", "access_count", "last_accessed", "created_at", "updated_at"})
TYPES = ("number", "boolean", "text")
OTHERWISE = ("keep", "remove", "fail")
_ABSENT = object()


class RowError(Exception):
    """Why a record was not changed: which field, and what is wrong there. The message repeats no value."""

    def __init__(self, field: str, message: str, code: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.code = code


Values = dict[str, Any]
"""A record's own fields by their names, and ``metadata`` with the names in it."""
Change = Mapping[str, Any]


def read_changes(value: object, path: str, problems: Problems) -> list[dict[str, Any]]:
    """The changes as a client sent them; everything wrong with them goes to ``problems``."""
    if value is None:
        problems.add(path, "Is required.", "required")
        return []
    if not isinstance(value, list):
        problems.add(path, "Must be a list of changes.", "invalid_type")
        return []
    if not 1 <= len(value) <= MOST_CHANGES:
        problems.add(path, f"Must hold 1 to {MOST_CHANGES} changes.", "out_of_range")
        return []
    for number, change in enumerate(value):
        _check(change, f"{path}.{number}", problems)
    return value


def touched(changes: Sequence[Change]) -> set[str]:
    """The record's own fields that the changes read or write; ``metadata`` for all names in it, ``tags`` for tags."""
    names: set[str] = set()
    for change in changes:
        if "field" not in change:
            names.add("tags")
        for part in ("field", "to"):
            if part in change:
                names.add(split(change[part])[0])
    return names


def split(field: str) -> tuple[str, str]:
    """A field as the record's own and, for ``metadata``, the name in it."""
    if field in FIELDS:
        return field, ""
    return METADATA, field.removeprefix(f"{METADATA}.")


def same(one: object, other: object) -> bool:
    """Whether two JSON values are one and the same; to Python 1 and true are equal."""
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    return type(one) is type(other) and one == other


def apply(changes: Sequence[Change], before: Values) -> Values:
    """What the values are afterwards; ``before`` stays as it is. Raises :class:`RowError`."""
    values = dict(before)
    if METADATA in values:
        values[METADATA] = dict(values[METADATA])
    for change in changes:
        _APPLY[change["action"]](change, values)
    return values


# --- Reading the grammar ----------------------------------------------------------------------------


def _check(change: object, path: str, problems: Problems) -> None:
    if not isinstance(change, dict):
        problems.add(path, "Must be an object.", "invalid_type")
        return
    action = change.get("action")
    if not isinstance(action, str) or action not in _CHECKS:
        problems.add(f"{path}.action", f"Must be one of {', '.join(_CHECKS)}.", "invalid_choice")
        return
    check, names = _CHECKS[action]
    problems.extend(unknown_fields(change, {"action", *names}, f"{path}."))
    check(change, path, problems)


def _check_field(change: Change, path: str, problems: Problems, *, name: str = "field") -> str | None:
    field = change.get(name)
    if fault := text_fault(field, maximum=LONGEST_NAME):
        problems.add(f"{path}.{name}", *fault)
        return None
    assert isinstance(field, str)  # noqa: S101 - text_fault said so
    if field in (METADATA, f"{METADATA}."):
        problems.add(f"{path}.{name}", "Must name something in the metadata, as metadata.<name>.", "invalid_name")
        return None
    if field in READ_ONLY:
        problems.add(f"{path}.{name}", "Cannot be changed; a name in the metadata is metadata.<name>.", "read_only")
        return None
    return field


def _check_set(change: Change, path: str, problems: Problems) -> None:
    field = _check_field(change, path, problems)
    if "value" not in change:
        problems.add(f"{path}.value", "Is required.", "required")
        return
    _check_value(field, change["value"], f"{path}.value", problems)


def _check_value(field: str | None, value: object, path: str, problems: Problems) -> None:
    if found := list(document_problems(value, path)):
        problems.extend(found)
    elif field is not None and field in FIELDS and (fault := field_fault(field, value)):
        problems.add(path, *fault)


def _check_rename(change: Change, path: str, problems: Problems) -> None:
    field = _check_field(change, path, problems)
    target = _check_field(change, path, problems, name="to")
    if field is not None and target is not None and split(field) == split(target):
        problems.add(f"{path}.to", "Must be another field.", "contradiction")
    if field == "tags" or target == "tags":
        problems.add(path, "Tags are changed by add_tags, remove_tags and move_tags.", "not_available")
    if not isinstance(change.get("overwrite", False), bool):
        problems.add(f"{path}.overwrite", "Must be true or false.", "invalid_type")


def _check_remove(change: Change, path: str, problems: Problems) -> None:
    field = _check_field(change, path, problems)
    if field is not None and field in FIELDS and FIELDS[field].empty is None and not FIELDS[field].nullable:
        problems.add(f"{path}.field", "Cannot be empty: set it to something else.", "read_only")


def _check_map(change: Change, path: str, problems: Problems) -> None:
    field = _check_field(change, path, problems)
    if field == "tags":
        problems.add(path, "Tags are changed by add_tags, remove_tags and move_tags.", "not_available")
    values = change.get("values")
    if not isinstance(values, dict) or not 1 <= len(values) <= MOST_MAPPED:
        problems.add(
            f"{path}.values", f"Must be an object of 1 to {MOST_MAPPED} old values and new ones.", "invalid_type"
        )
        return
    for old, new in values.items():
        where = f"{path}.values.{short_name(old)}"
        if not is_storable(old):
            problems.add(f"{path}.values", "Must not hold NUL characters or lone surrogates.", "invalid_text")
        _check_value(field, new, where, problems)
    if change.get("otherwise", "keep") not in OTHERWISE:
        problems.add(f"{path}.otherwise", f"Must be one of {', '.join(OTHERWISE)}.", "invalid_choice")


def _check_convert(change: Change, path: str, problems: Problems) -> None:
    field = _check_field(change, path, problems)
    if field is not None and field in FIELDS:
        problems.add(f"{path}.field", "Has a type of its own: only names in the metadata are converted.", "read_only")
    if change.get("type") not in TYPES:
        problems.add(f"{path}.type", f"Must be one of {', '.join(TYPES)}.", "invalid_choice")


def _check_tags(change: Change, path: str, problems: Problems) -> None:
    tags = change.get("tags")
    if not isinstance(tags, list) or not 1 <= len(tags) <= MOST_TAGS:
        problems.add(f"{path}.tags", f"Must be a list of 1 to {MOST_TAGS} tags.", "invalid_type")
        return
    for number, tag in enumerate(tags):
        if fault := text_fault(tag, maximum=LONGEST_TAG):
            problems.add(f"{path}.tags.{number}", *fault)


def _check_moves(change: Change, path: str, problems: Problems) -> None:
    tags = change.get("tags")
    if not isinstance(tags, dict) or not 1 <= len(tags) <= MOST_TAGS:
        problems.add(f"{path}.tags", f"Must be an object of 1 to {MOST_TAGS} old tags and new ones.", "invalid_type")
        return
    for old, new in tags.items():
        if not is_storable(old):
            problems.add(f"{path}.tags", "Must not hold NUL characters or lone surrogates.", "invalid_text")
        if fault := text_fault(new, maximum=LONGEST_TAG):
            problems.add(f"{path}.tags.{short_name(old)}", *fault)


_CHECKS: dict[str, tuple[Callable[[Change, str, Problems], None], tuple[str, ...]]] = {
    "set": (_check_set, ("field", "value")),
    "rename": (_check_rename, ("field", "to", "overwrite")),
    "remove": (_check_remove, ("field",)),
    "map": (_check_map, ("field", "values", "otherwise")),
    "convert": (_check_convert, ("field", "type")),
    "add_tags": (_check_tags, ("tags",)),
    "remove_tags": (_check_tags, ("tags",)),
    "move_tags": (_check_moves, ("tags",)),
}


# --- Applying it to one record ----------------------------------------------------------------------


def _get(values: Values, field: str) -> Any:
    own, name = split(field)
    if own != METADATA:
        value = values[own]
        return _ABSENT if value is None or value == FIELDS[own].empty else value
    return values[METADATA].get(name, _ABSENT)


def _put(values: Values, field: str, value: Any) -> None:
    own, name = split(field)
    if own == METADATA:
        values[METADATA][name] = value
    elif fault := field_fault(own, value):
        raise RowError(field, *fault)
    else:
        values[own] = list(dict.fromkeys(value)) if own == "tags" else value


def _drop(values: Values, field: str) -> None:
    own, name = split(field)
    if own == METADATA:
        values[METADATA].pop(name, None)
    elif FIELDS[own].empty is None and not FIELDS[own].nullable:
        raise RowError(field, "Must not be empty.", "required")
    else:
        values[own] = [] if own == "tags" else FIELDS[own].empty


def _set(change: Change, values: Values) -> None:
    _put(values, change["field"], change["value"])


def _rename(change: Change, values: Values) -> None:
    value = _get(values, change["field"])
    if value is _ABSENT:
        return
    present = _get(values, change["to"])
    if present is not _ABSENT and not same(present, value) and not change.get("overwrite", False):
        raise RowError(change["to"], "Has another value already.", "exists")
    _put(values, change["to"], value)
    _drop(values, change["field"])


def _remove(change: Change, values: Values) -> None:
    _drop(values, change["field"])


def _map(change: Change, values: Values) -> None:
    field, table = change["field"], change["values"]
    value = _get(values, field)
    if value is _ABSENT:
        return
    # Numbers, true, false and null are looked up as JSON writes them.
    name = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if name in table:
        _put(values, field, table[name])
    elif change.get("otherwise") == "fail":
        raise RowError(field, "Has a value that the table does not know.", "unmapped")
    elif change.get("otherwise") == "remove":
        _drop(values, field)


def _convert(change: Change, values: Values) -> None:
    """What a file had as text becomes what it says; what has the type already, or is null, stays."""
    field = change["field"]
    value = _get(values, field)
    if value is _ABSENT or value is None:
        return
    converted = _CONVERSIONS[change["type"]](value)
    if converted is None:
        raise RowError(field, f"Cannot be read as a {change['type']}.", "invalid_type")
    _put(values, field, converted)


def _as_number(value: Any) -> int | float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return None
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(value) if _WHOLE.fullmatch(value.strip()) else number


def _as_boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"number": _as_number, "boolean": _as_boolean, "text": _as_text}


def _add_tags(change: Change, values: Values) -> None:
    tags = list(dict.fromkeys([*values["tags"], *change["tags"]]))
    if len(tags) > max(MOST_TAGS, len(values["tags"])):
        raise RowError("tags", f"Would have more than {MOST_TAGS} tags.", "too_many")
    values["tags"] = tags


def _remove_tags(change: Change, values: Values) -> None:
    values["tags"] = [tag for tag in values["tags"] if tag not in change["tags"]]


def _move_tags(change: Change, values: Values) -> None:
    values["tags"] = list(dict.fromkeys(change["tags"].get(tag, tag) for tag in values["tags"]))


_APPLY: dict[str, Callable[[Change, Values], None]] = {
    "set": _set,
    "rename": _rename,
    "remove": _remove,
    "map": _map,
    "convert": _convert,
    "add_tags": _add_tags,
    "remove_tags": _remove_tags,
    "move_tags": _move_tags,
}
