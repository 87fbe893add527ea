"""The keywords of JSON Schema in our words: which kind of failure each is, and a sentence that says what is wanted.

Some keywords are our own: a missing property and one that must not be there are failures of their own, each at its own
path, and equal elements are found in one pass instead of comparing each with each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

LONGEST_QUOTE = 200

CATEGORIES: Mapping[str, frozenset[str]] = {
    "missing": frozenset({"required", "dependentRequired", "dependencies", "contains", "minContains"}),
    "type": frozenset({"type"}),
    "enum": frozenset({"enum", "const"}),
    "range": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "length": frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}),
    "pattern": frozenset({"pattern", "propertyNames"}),
    "format": frozenset({"format"}),
    "unexpected": frozenset(
        {"additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems", "maxContains"}
    ),
    "duplicate": frozenset({"uniqueItems"}),
    "alternatives": frozenset({"anyOf", "oneOf", "allOf", "not", "if", "dependentSchemas"}),
}
"""The kinds of failure. ``schema`` is one more: the schema could not be applied to the document."""
_CATEGORY = {keyword: category for category, keywords in CATEGORIES.items() for keyword in keywords}
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def category_of(error: ValidationError) -> str:
    """The kind of failure; a schema that is ``false`` allows nothing."""
    return _CATEGORY.get(str(error.validator), "unexpected")


def sentence_of(error: ValidationError) -> str:
    """What is wanted. It may repeat the schema, never the document."""
    sentence = _SENTENCES.get(str(error.validator))
    return sentence(error) if sentence else "Is not allowed here."


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def _type_sentence(error: ValidationError) -> str:
    wanted = error.validator_value
    names = " or ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
    return f"Must be of type {names}, is {_JSON_TYPES.get(type(error.instance), 'null')}."


def _limit(words: str) -> Callable[[ValidationError], str]:
    return lambda error: f"Must {words.format(_quoted(error.validator_value))}."


def _minimum_sentence(error: ValidationError) -> str:
    # In draft 4 a boolean beside it makes the limit exclusive.
    strict = isinstance(error.schema, Mapping) and error.schema.get("exclusiveMinimum") is True
    return f"Must be {'above' if strict else 'at least'} {_quoted(error.validator_value)}."


def _maximum_sentence(error: ValidationError) -> str:
    strict = isinstance(error.schema, Mapping) and error.schema.get("exclusiveMaximum") is True
    return f"Must be {'below' if strict else 'at most'} {_quoted(error.validator_value)}."


def _plain(words: str) -> Callable[[ValidationError], str]:
    return lambda error: words


_SENTENCES: dict[str, Callable[[ValidationError], str]] = {
    "required": _plain("Is required."),
    "dependentRequired": _plain("Lacks what must be there beside what is there."),
    "dependencies": _plain("Lacks what must be there beside what is there."),
    "contains": _plain("Must contain an element of the kind that is asked for."),
    "type": _type_sentence,
    "enum": _limit("be one of {}"),
    "const": _limit("be {}"),
    "minimum": _minimum_sentence,
    "maximum": _maximum_sentence,
    "exclusiveMinimum": _limit("be above {}"),
    "exclusiveMaximum": _limit("be below {}"),
    "multipleOf": _limit("be a multiple of {}"),
    "minLength": _limit("have {} or more characters"),
    "maxLength": _limit("have {} or fewer characters"),
    "minItems": _limit("have {} or more elements"),
    "maxItems": _limit("have {} or fewer elements"),
    "minProperties": _limit("have {} or more properties"),
    "maxProperties": _limit("have {} or fewer properties"),
    "pattern": _limit("match the pattern {}"),
    "format": _limit("have the format {}"),
    "uniqueItems": _plain("Must not have the same element twice."),
    "anyOf": _plain("Must fit at least one of the alternatives."),
    "oneOf": _plain("Must fit exactly one of the alternatives."),
    "not": _plain("Must not fit what is excluded."),
}


# --- Keywords of our own ----------------------------------------------------------------------------


def _required(validator: Any, names: list[str], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for name in names:
            if name not in instance:
                yield ValidationError("", path=(name,))


def _properties(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for name, wanted in properties.items():
            if name not in instance:
                continue
            if wanted is False:  # the library would say that the whole object is at fault
                yield ValidationError("", path=(name,))
            else:
                yield from validator.descend(instance[name], wanted, path=name, schema_path=name)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object") or allowed is True:
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in known or any(re.search(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("", path=(name,))
        else:
            yield from validator.descend(value, allowed, path=name)


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[str] = set()
    for element in instance:
        key = json.dumps(_with_plain_numbers(element), sort_keys=True)
        if key in seen:
            yield ValidationError("")
            return
        seen.add(key)


def _with_plain_numbers(value: Any) -> Any:
    """To JSON Schema 1 and 1.0 are the same number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_plain_numbers(child) for child in value]
    if isinstance(value, dict):
        return {name: _with_plain_numbers(child) for name, child in value.items()}
    return value


KEYWORDS: dict[str, Callable[..., Iterator[ValidationError]]] = {
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
