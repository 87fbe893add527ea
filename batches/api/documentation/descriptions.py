"""The words in which a route is described, and JSON Schema out of examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Maybe:
    """An example of a value that may be null."""

    example: Any


@dataclass(frozen=True, slots=True)
class Sometimes:
    """An example of a value that is left out where there is none; its name with it."""

    example: Any


@dataclass(frozen=True, slots=True)
class Free:
    """An example of an object whose names are the client's own, or differ by operation."""

    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or a header."""

    name: str
    schema: Schema
    description: str = ""
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One operation of the API. ``answers``: an example by status; ``statuses``: errors beside those all share."""

    summary: str
    tag: str
    answers: Mapping[int, Any]
    body: Schema | None = None
    body_example: Any = None
    body_required: bool = True
    form: Schema | None = None
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = ()
    details: str = ""
    media_type: str = "application/json"
    error: Any = None
    """An example of its errors, where they are not as everywhere else."""
    is_open: bool = False
    """It needs no key."""
    one_of: Mapping[str, Any] = field(default_factory=dict)
    """More examples of the answer, by name, where it has several shapes."""


def plain(example: Any) -> Any:
    """The example as JSON."""
    if isinstance(example, Maybe | Sometimes | Free):
        return plain(example.example)
    if isinstance(example, Mapping):
        return {name: plain(value) for name, value in example.items()}
    if isinstance(example, list):
        return [plain(value) for value in example]
    return example


def schema_like(example: Any) -> Schema:
    """The JSON Schema of which the value is an example: its types, and its names, which are all there but for
    :class:`Sometimes`. A client has to expect that others are added."""
    match example:
        case Maybe():
            inner = schema_like(example.example)
            return inner | ({"type": [inner["type"], "null"]} if "type" in inner else {})
        case Sometimes():
            return schema_like(example.example)
        case Free():
            return {"type": "object", "additionalProperties": True}
        case None:
            return {}
        case bool() | int() | float() | str():
            return {"type": JSON_TYPES[type(example)]}
        case list():
            return {"type": "array", "items": schema_like(example[0]) if example else {}}
        case Mapping():
            required = [name for name, value in example.items() if not isinstance(value, Sometimes)]
            schema = {"type": "object", "properties": {name: schema_like(value) for name, value in example.items()}}
            return schema | ({"required": required} if required else {})
    raise TypeError(type(example).__name__)
