"""Which records an operation is about, and how they are changed: controls for what is asked most often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batches.pages.create.body_fields import NotThat, as_json, as_words
from batches.pages.create.controls import WHICH, Choice, Control, Form
from records.models.record import Kind

PREFIX = "filter_"


def filter_controls() -> list[Control]:
    """Kind, status, tags, and anything else as JSON."""
    kinds = [Choice("", "Any"), *(Choice(value, str(label)) for value, label in Kind.choices)]
    return [
        Control(f"{PREFIX}kind", "Kind", "choice", choices=kinds, part=WHICH),
        Control(f"{PREFIX}status", "Status", placeholder="any", part=WHICH),
        Control(f"{PREFIX}tags", "With one of the tags", placeholder="any", part=WHICH),
        Control(
            f"{PREFIX}more",
            "Other conditions, as JSON",
            "area",
            lines=2,
            is_code=True,
            is_wide=True,
            is_rare=True,
            part=WHICH,
            placeholder='{"category": "invoice", "project_ref": "2026"}',
            hint="Fields of the record, or names of its metadata, and what they must be; a list means any of them.",
        ),
    ]


def filters_of(form: Form) -> dict[str, Any]:
    """The filters of a body."""
    filters: dict[str, Any] = {}
    if more := form[f"{PREFIX}more"].value.strip():
        try:
            given = as_json(more)
            if not isinstance(given, dict):
                raise NotThat("Must be an object, in braces.")
            filters = dict(given)
        except NotThat as reason:
            form.say(f"{PREFIX}more", str(reason))
    for name in ("kind", "status"):
        if value := form[PREFIX + name].value.strip():
            filters[name] = value
    if tags := as_words(form[f"{PREFIX}tags"].value):
        filters["tags"] = tags
    return filters


CHANGE = "change_"
_ACTIONS = {
    "": "Nothing",
    "set": "Set a field to a value",
    "remove": "Empty a field",
    "rename": "Rename a field",
    "add_tags": "Add tags",
    "remove_tags": "Take tags away",
}


def change_controls() -> list[Control]:
    """One change without JSON."""
    return [
        Control(
            f"{CHANGE}action",
            "Change",
            "choice",
            choices=[Choice(value, label) for value, label in _ACTIONS.items()],
            default="set",
        ),
        Control(f"{CHANGE}field", "Field", placeholder="status", hint="Of the record, or a name of its metadata."),
        Control(f"{CHANGE}value", "Value, new name or tags", placeholder="active"),
    ]


def changes_of(form: Form, more: Iterable[Any] | None) -> Any:
    """The list of changes of a body: the one of the controls, then those of the box. None where there are none."""
    action, field, value = (form[CHANGE + name].value.strip() for name in ("action", "field", "value"))
    first: list[Any] = []
    if action in {"add_tags", "remove_tags"} and value:
        first = [{"action": action, "tags": as_words(value)}]
    elif action == "remove" and field:
        first = [{"action": action, "field": field}]
    elif action == "rename" and (field or value):
        first = [{"action": action, "field": field, "to": value}]
    elif action == "set" and (field or value):
        first = [{"action": action, "field": field, "value": value}]
    if more is None:
        return first or None
    return [*first, *more] if isinstance(more, list) else more
