"""JSON Schemas that clients send: what is accepted, and how a document is compared with one.

Drafts 4, 6, 7, 2019-09 and 2020-12. A schema is complete in itself: nothing is fetched, so ``$ref`` points into the
schema. Every failure has a category, a path and a sentence; a sentence may repeat the schema, never the document.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from batches.operations.payload import Problems, document_problems, short_name
from batches.operations.records.schema_formats import CHECKER
from batches.operations.records.schema_keywords import KEYWORDS, category_of, sentence_of

DRAFTS = (Draft4Validator, Draft6Validator, Draft7Validator, Draft201909Validator, Draft202012Validator)
LARGEST_SCHEMA = 64 * 1024
"""Bytes of JSON."""
DEEPEST_SCHEMA = 32
MOST_SCHEMA_PROBLEMS = 20
MOST_FAILURES = 20
"""Of one document; the rest is not looked for."""
SCHEMA = "schema"
"""The category of what could not be checked."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong with a document, and where: names and numbers joined by dots, "" for the whole of it."""

    path: str
    category: str
    message: str


def read_schema(value: object, path: str, problems: Problems, warnings: list[str]) -> dict[str, Any]:
    """A schema as a client sent it; everything wrong with it goes to ``problems``, by its path in the body."""
    if value is None:
        problems.add(path, "Is required.", "required")
    elif not isinstance(value, dict):
        problems.add(path, "Must be a JSON Schema: an object.", "invalid_type")
    elif found := list(islice(document_problems(value, path, maximum_depth=DEEPEST_SCHEMA), MOST_SCHEMA_PROBLEMS)):
        problems.extend(found)
    elif len(json.dumps(value).encode()) > LARGEST_SCHEMA:
        problems.add(path, f"Must have at most {LARGEST_SCHEMA} bytes.", "too_large")
    else:
        _check(value, path, problems, warnings)
        return value
    return {}


def validator_of(schema: Mapping[str, Any]) -> Validator:
    """What compares documents with a schema that :func:`read_schema` accepted."""
    draft = _with_our_keywords(_draft_of(schema))
    # An empty registry: what is not in the schema does not exist.
    return cast(Validator, draft(schema, format_checker=CHECKER, registry=Registry()))


def failures_of(validator: Validator, document: Any) -> list[Failure]:
    """Where the document breaks the schema; the first twenty."""
    try:
        return [_failure(error) for error in islice(validator.iter_errors(document), MOST_FAILURES)]
    except RecursionError:
        return [Failure("", SCHEMA, "The schema refers to itself without end.")]
    except ArithmeticError:
        return [Failure("", SCHEMA, "A number is too large to be compared.")]


def _name_of(draft: Any) -> str:
    return str(draft.META_SCHEMA.get("$id") or draft.META_SCHEMA["id"])


_BY_NAME: Mapping[str, Any] = {_name_of(draft).removesuffix("#"): draft for draft in DRAFTS}


def _draft_of(schema: Mapping[str, Any]) -> Any:
    """The draft that ``$schema`` names, the latest where it names none; None where it is none of ours."""
    if "$schema" not in schema:
        return Draft202012Validator
    return _BY_NAME.get(str(schema["$schema"]).removesuffix("#"))


@functools.cache
def _with_our_keywords(draft: Any) -> Any:
    return extend(  # type: ignore[no-untyped-call]
        draft, {name: check for name, check in KEYWORDS.items() if name in draft.VALIDATORS}
    )


def _failure(error: ValidationError) -> Failure:
    path = ".".join(str(part) for part in error.absolute_path)
    return Failure(path[:500], category_of(error), sentence_of(error))


# --- Whether it is a schema at all ------------------------------------------------------------------


def _check(schema: dict[str, Any], path: str, problems: Problems, warnings: list[str]) -> None:
    draft = _draft_of(schema)
    if draft is None:
        known = ", ".join(_name_of(one) for one in DRAFTS)
        problems.add(f"{path}.$schema", f"Must be one of {known}.", "unknown_draft")
        return
    meta = draft(draft.META_SCHEMA, format_checker=draft.FORMAT_CHECKER)
    wrong = list(islice(meta.iter_errors(schema), MOST_SCHEMA_PROBLEMS))
    for error in wrong:
        where = ".".join([path, *(short_name(str(part)) for part in error.absolute_path)])
        problems.add(where, f"Is no JSON Schema: {sentence_of(error)}", "invalid_schema")
    if not wrong:
        _check_references(schema, draft, path, problems)
        warnings.extend(_unknown_formats(schema, path))


def _check_references(schema: dict[str, Any], draft: Any, path: str, problems: Problems) -> None:
    id_name = "id" if draft is Draft4Validator else "$id"
    anonymous = {name: value for name, value in schema.items() if name != id_name}
    resource = Resource.from_contents(anonymous, default_specification=specification_with(_name_of(draft)))
    resolver = Registry().with_resource("", resource).resolver("")
    for where, name, value in _names(anonymous, path):
        if not isinstance(value, str):
            continue
        if name in REFERENCES and (fault := _reference_fault(value, resolver)):
            problems.add(where, *fault)
        elif name == id_name:  # it would be the base of the references below it
            problems.add(where, "Only the schema as a whole may have an id.", "not_available")


def _unknown_formats(schema: dict[str, Any], path: str) -> list[str]:
    formats = {value for _, name, value in _names(schema, path) if name == "format" and isinstance(value, str)}
    unknown = sorted(short_name(name) for name in formats - CHECKER.checkers.keys())
    return [f"Not checked, because the format is not known here: {', '.join(unknown)}."] if unknown else []


def _reference_fault(reference: str, resolver: Any) -> tuple[str, str] | None:
    if not reference.startswith("#"):
        return "Must point into this schema (#/...): nothing is fetched.", "remote_reference"
    try:
        resolver.lookup(reference)
    except (Unresolvable, ValueError, LookupError, TypeError):
        return "Points to nothing in this schema.", "unknown_reference"
    return None


def _names(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Every name in the schema with its path and value, however deep."""
    waiting = [(path, value)]
    while waiting:
        where, one = waiting.pop()
        if isinstance(one, dict):
            for name, child in one.items():
                at = f"{where}.{short_name(name)}"
                yield at, name, child
                waiting.append((at, child))
        elif isinstance(one, list):
            waiting.extend((f"{where}.{number}", child) for number, child in enumerate(one))
