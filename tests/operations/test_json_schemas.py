"""Which schemas are accepted, and what is said about documents that break one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from batches.operations.payload import Problems
from batches.operations.records.json_schemas import LARGEST_SCHEMA, Failure, failures_of, read_schema, validator_of
from batches.problems import InvalidInput
from batches.time_bound import TooSlow, at_most

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def checked(schema: Any) -> tuple[dict[str, str], list[str]]:
    """Codes of the problems by path, and the warnings."""
    problems, warnings = Problems(), []  # type: tuple[Problems, list[str]]
    read_schema(schema, "schema", problems, warnings)
    try:
        problems.raise_if_any()
    except InvalidInput as refused:
        return {problem.path: problem.code for problem in refused.problems}, warnings
    return {}, warnings


def failures(schema: dict[str, Any], document: Any) -> set[tuple[str, str]]:
    """Path and category of each."""
    assert checked(schema)[0] == {}
    return {(one.path, one.category) for one in failures_of(validator_of(schema), document)}


@pytest.mark.parametrize(
    ("schema", "problems"),
    [
        (None, {"schema": "required"}),
        (True, {"schema": "invalid_type"}),
        ([], {"schema": "invalid_type"}),
        ({"type": "objekt"}, {"schema.type": "invalid_schema"}),
        ({"properties": {"a": {"minLength": -1}}}, {"schema.properties.a.minLength": "invalid_schema"}),
        ({"required": "a"}, {"schema.required": "invalid_schema"}),
        ({"properties": {"a": {"pattern": "("}}}, {"schema.properties.a.pattern": "invalid_schema"}),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, {"schema.$schema": "unknown_draft"}),
        ({"$schema": "https://example.com/mine"}, {"schema.$schema": "unknown_draft"}),
        ({"$schema": DRAFT_4, "minimum": "1"}, {"schema.minimum": "invalid_schema"}),
        ({"$ref": "http://169.254.169.254/latest"}, {"schema.$ref": "remote_reference"}),
        ({"$ref": "file:///etc/passwd"}, {"schema.$ref": "remote_reference"}),
        ({"allOf": [{"$ref": "other.json#/a"}]}, {"schema.allOf.0.$ref": "remote_reference"}),
        ({"$dynamicRef": "https://x.test#a"}, {"schema.$dynamicRef": "remote_reference"}),
        ({"$ref": "#/$defs/none"}, {"schema.$ref": "unknown_reference"}),
        ({"$ref": "#none"}, {"schema.$ref": "unknown_reference"}),
        ({"$defs": {"a": {"$id": "https://x.test/a"}}}, {"schema.$defs.a.$id": "not_available"}),
        ({"description": "\x00"}, {"schema.description": "invalid_text"}),
        ({"minimum": float("nan")}, {"schema.minimum": "invalid_number"}),
        ({"description": "x" * LARGEST_SCHEMA}, {"schema": "too_large"}),
    ],
)
def test_what_is_no_schema_of_ours_is_refused(schema: Any, problems: dict[str, str]) -> None:
    assert checked(schema)[0] == problems


def test_deep_schemas_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"not": deep}
    assert set(checked(deep)[0].values()) == {"too_deep"}


def test_references_within_the_schema_are_followed() -> None:
    schema = {
        "$id": "https://example.com/mine",
        "$defs": {"amount": {"type": "number"}, "named": {"$anchor": "n", "type": "string"}},
        "properties": {"a": {"$ref": "#/$defs/amount"}, "b": {"$ref": "#n"}, "self": {"$ref": "#"}},
    }
    assert failures(schema, {"a": "x", "b": 1, "self": {"a": "y"}}) == {
        ("a", "type"),
        ("b", "type"),
        ("self.a", "type"),
    }


def test_a_format_that_nobody_checks_is_said() -> None:
    assert checked({"properties": {"a": {"format": "isbn"}, "b": {"format": "email"}}}) == (
        {},
        ["Not checked, because the format is not known here: isbn."],
    )


CASES: list[tuple[dict[str, Any], Any, set[tuple[str, str]]]] = [
    ({"required": ["a", "b"]}, {"a": 1}, {("b", "missing")}),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, {("", "missing")}),
    ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": 5}, {("a", "type")}),
    ({"properties": {"a": {"enum": ["x"]}}}, {"a": "y"}, {("a", "enum")}),
    ({"properties": {"a": {"const": 1}}}, {"a": True}, {("a", "enum")}),
    ({"properties": {"a": {"minimum": 0}}}, {"a": -1}, {("a", "range")}),
    ({"properties": {"a": {"exclusiveMaximum": 1}}}, {"a": 1}, {("a", "range")}),
    ({"properties": {"a": {"multipleOf": 5}}}, {"a": 7}, {("a", "range")}),
    ({"properties": {"a": {"minLength": 2}}}, {"a": "x"}, {("a", "length")}),
    ({"properties": {"a": {"maxItems": 1}}}, {"a": [1, 2]}, {("a", "length")}),
    ({"properties": {"a": {"pattern": "^x$"}}}, {"a": "y"}, {("a", "pattern")}),
    ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 2}, {("b", "unexpected")}),
    ({"additionalProperties": False, "patternProperties": {"^b": {}}}, {"bb": 1, "c": 2}, {("c", "unexpected")}),
    ({"additionalProperties": {"type": "string"}}, {"b": 2}, {("b", "type")}),
    ({"unevaluatedProperties": False}, {"b": 2}, {("", "unexpected")}),
    ({"properties": {"a": False}}, {"a": 1}, {("a", "unexpected")}),
    ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1, 2, 1.0]}, {("a", "duplicate")}),
    ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1, True, "1", None, [], {}]}, set()),
    ({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": [1, "x"]}, {("a.1", "type")}),
    ({"properties": {"a": {"contains": {"const": 1}}}}, {"a": [2]}, {("a", "missing")}),
    ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, {("", "alternatives")}),
    ({"not": {"required": ["a"]}}, {"a": 1}, {("", "alternatives")}),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, {("b", "missing")}),
    ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, {"a": 1}, {("", "missing")}),
    ({"$schema": DRAFT_4, "properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}, {"a": 1}, {("a", "range")}),
    ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"$ref": "#/$defs/x"}}}, {"a": 1}, {("", "schema")}),
    ({"properties": {"a": {"multipleOf": 0.5}}}, {"a": 10**400}, {("", "schema")}),
]


@pytest.mark.parametrize(("schema", "document", "expected"), CASES)
def test_every_failure_has_its_path_and_category(
    schema: dict[str, Any], document: Any, expected: set[tuple[str, str]]
) -> None:
    assert failures(schema, document) == expected


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date", ["2024-02-29"], ["2023-02-29", "2024-2-9", "today", "2024-02-29T00:00:00Z"]),
        ("date-time", ["2024-02-29T23:59:60Z", "2024-01-01t00:00:00.5+02:00"], ["2024-01-01", "2023-02-29T00:00:00Z"]),
        ("time", ["10:00:00Z"], ["10:00", "25:00:00Z"]),
        ("duration", ["P1D", "PT5M", "P3W"], ["P", "PT", "1D"]),
        ("email", ["a.b+c@example.com"], ["a", "a@", "a b@example.com", "a@-x.com"]),
        ("hostname", ["example.com"], ["-a.com", "a_b.com", ""]),
        ("ipv4", ["127.0.0.1"], ["1.2.3", "256.1.1.1"]),
        ("ipv6", ["::1"], ["1::2::3", "127.0.0.1"]),
        ("uri", ["https://example.com/x?y=1", "mailto:a@b.c"], ["/relative", "https://exa mple.com", "x"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
        ("regex", ["^a+$"], ["("]),
    ],
)  # fmt: skip
def test_formats(name: str, right: list[str], wrong: list[str]) -> None:
    schema = {"items": {"format": name}}
    assert failures(schema, [*right, 5, None]) == set()
    assert failures(schema, wrong) == {(str(number), "format") for number in range(len(wrong))}


def test_a_sentence_never_repeats_the_document() -> None:
    schema = {
        "required": ["c"],
        "properties": {
            "a": {"enum": ["x"], "pattern": "^x", "maxLength": 1, "format": "email"},
            "b": {"type": "string"},
        },
        "additionalProperties": False,
    }
    said = failures_of(validator_of(schema), {"a": "secret-value", "b": ["secret-value"]})
    assert len(said) == 6
    assert "secret" not in repr(said)
    assert Failure("a", "enum", 'Must be one of ["x"].') in said
    assert Failure("b", "type", "Must be of type string, is array.") in said


def test_no_document_has_more_than_twenty_failures() -> None:
    schema = {"items": {"type": "string"}}
    assert len(failures_of(validator_of(schema), list(range(1_000)))) == 20


LAUGHS = {f"l{number}": {"allOf": [{"$ref": f"#/$defs/l{number + 1}"}] * 2} for number in range(40)} | {"l40": {}}


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50 + "!"),
        ({"patternProperties": {"(x+x+)+y": {}}}, {"x" * 60: 1}),
        ({"$ref": "#/$defs/l0", "$defs": LAUGHS}, {}),
    ],
)
def test_what_would_compute_for_years_is_interrupted(schema: dict[str, Any], document: Any) -> None:
    assert checked(schema)[0] == {}
    validator, began = validator_of(schema), time.monotonic()
    with pytest.raises(TooSlow), at_most(0.1):
        failures_of(validator, document)
    assert time.monotonic() - began < 5


def test_many_equal_elements_are_found_in_one_pass() -> None:
    schema = {"uniqueItems": True}
    with at_most(20):
        assert failures(schema, [{"n": number} for number in range(50_000)]) == set()
