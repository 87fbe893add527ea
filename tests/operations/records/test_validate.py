"""Records against a JSON Schema: what is found, what is kept, what is marked, and schemas that would stop a worker."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.operations.records.record_chunks import CHUNK_RECORDS
from batches.outcomes import Rejected, Succeeded
from batches.result_files import result_files
from records.models import Record
from tests.operations.local_run import problems_of, record, run_batch, run_items, submitted

SCHEMA = {
    "type": "object",
    "required": ["title", "metadata"],
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "metadata": {"required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 0}}},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
}


def test_failures_are_found_counted_and_kept_in_a_file(owner: User) -> None:
    record(owner, title="good", metadata={"amount": 1}, tags=["a"])
    poor = record(owner, title="", metadata={"amount": -1}, tags=["a", "x"])
    empty = record(owner, title="t")
    record(User.objects.create_user("bob"))
    batch, outcome = run_batch(owner, "validate", {"schema": SCHEMA})
    assert {name: outcome[name] for name in ("checked", "valid", "invalid")} == {"checked": 3, "valid": 1, "invalid": 2}
    assert outcome["byCategory"] == {"length": 1, "range": 1, "enum": 1, "missing": 1}
    assert {"path": "tags.*", "category": "enum", "message": 'Must be one of ["a", "b"].', "records": 1} in outcome[
        "mostCommon"
    ]
    [file] = result_files(batch)
    assert outcome["files"] == [{"fileId": file.public_id, "name": "failures.csv"}]
    rows = list(csv.DictReader(io.StringIO(file.content.read().decode())))
    assert {(row["id"], row["path"], row["category"]) for row in rows} == {
        (poor.public_id, "title", "length"),
        (poor.public_id, "metadata.amount", "range"),
        (poor.public_id, "tags.1", "enum"),
        (empty.public_id, "metadata.amount", "missing"),
    }


def test_a_chunk_says_which_records_fail_and_how_good_the_data_is(owner: User) -> None:
    record(owner, metadata={"amount": 1})
    bad = record(owner, metadata={})
    batch = submitted(owner, "validate", {"schema": SCHEMA["properties"]["metadata"], "target": "metadata"})  # type: ignore[index]
    [outcome] = run_items(batch)
    assert isinstance(outcome, Succeeded)
    assert outcome.quality == 0.5
    assert outcome.result["failures"] == [
        {"path": "amount", "category": "missing", "message": "Is required.", "records": [bad.public_id]}
    ]


def test_the_document_of_a_record_has_the_documented_shape(owner: User) -> None:
    names = ["id", "key", "kind", "status", "title", "content", "summary", "tags", "metadata", "memory_type",
             "project_ref", "quality", "relevance_score", "created_at", "updated_at"]  # fmt: skip
    record(owner)
    schema = {
        "required": names,
        "additionalProperties": False,
        "properties": {name: {} for name in names} | {"created_at": {"format": "date-time"}, "key": {"type": "null"}},
    }
    _, outcome = run_batch(owner, "validate", {"schema": schema})
    assert outcome["invalid"] == 0


def test_without_failures_or_when_nobody_wants_it_there_is_no_file(owner: User) -> None:
    record(owner, title="t", metadata={"amount": 1})
    batch, outcome = run_batch(owner, "validate", {"schema": SCHEMA})
    assert (outcome["files"], list(result_files(batch))) == ([], [])
    batch, outcome = run_batch(owner, "validate", {"schema": {"required": ["none"]}, "failuresFile": False})
    assert (outcome["invalid"], outcome["files"], list(result_files(batch))) == (1, [], [])


def test_records_are_marked_when_it_is_asked_for_and_only_then(owner: User) -> None:
    good, bad = record(owner, metadata={"amount": 1}, title="t"), record(owner)
    run_batch(owner, "validate", {"schema": SCHEMA})
    assert "validation_status" not in Record.objects.get(pk=good.pk).metadata
    run_batch(owner, "validate", {"schema": SCHEMA, "markRecords": True})
    good, bad = Record.objects.get(pk=good.pk), Record.objects.get(pk=bad.pk)
    assert (good.metadata["validation_status"], bad.metadata["validation_status"]) == ("valid", "invalid")
    run_batch(owner, "validate", {"schema": SCHEMA, "markRecords": True})
    assert Record.objects.get(pk=good.pk).updated_at == good.updated_at  # it had its mark


def test_marks_that_change_what_matches_do_not_change_what_was_found(owner: User) -> None:
    record(owner, metadata={"amount": 1, "validation_status": "invalid"}, title="t")
    body = {"schema": SCHEMA, "markRecords": True, "filters": {"validation_status": "invalid"}}
    batch = submitted(owner, "validate", body)
    [first] = run_items(batch)
    batch.items.update(status="pending", result=None, finished_at=None)  # as a rescue leaves it
    [second] = run_items(batch)
    assert first == second
    assert isinstance(first, Succeeded)
    assert first.result["checked"] == 1


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"schema": "required"}),
        ({"schema": {"$ref": "http://x.test/"}}, {"schema.$ref": "remote_reference"}),
        ({"schema": {}, "target": "content"}, {"target": "invalid_choice"}),
        ({"schema": {}, "markRecords": "yes"}, {"markRecords": "invalid_type"}),
        ({"schema": {}, "filters": {"quality": "x"}}, {"filters.quality": "invalid_type"}),
        ({"schema": {}, "shema": {}}, {"shema": "unknown_field"}),
    ],
)
def test_a_wrong_body_is_refused_by_path(body: dict[str, Any], problems: dict[str, str]) -> None:
    assert problems_of("validate", body) == problems


def test_a_pattern_that_never_ends_costs_a_moment_and_its_own_batch(owner: User) -> None:
    for _ in range(10):
        record(owner, title="a" * 60 + "!")
    began = time.monotonic()
    [outcome] = run_items(submitted(owner, "validate", {"schema": {"properties": {"title": {"pattern": "^(a+)+$"}}}}))
    assert isinstance(outcome, Rejected)
    assert outcome.fault.code == "schema_too_slow"
    assert time.monotonic() - began < 10


def test_one_slow_record_is_a_failure_of_its_own(owner: User) -> None:
    slow, quick = record(owner, title="a" * 60 + "!"), record(owner, title="aa")
    _, outcome = run_batch(owner, "validate", {"schema": {"properties": {"title": {"pattern": "^(a+)+$"}}}})
    assert outcome["byCategory"] == {"schema": 1}
    assert (slow.pk, quick.pk, outcome["valid"]) == (slow.pk, quick.pk, 1)


def test_many_records_are_checked_in_chunks(owner: User) -> None:
    number = CHUNK_RECORDS + 3
    Record.objects.bulk_create(Record(owner=owner, content="c", metadata={"n": i % 2}) for i in range(number))
    batch, outcome = run_batch(owner, "validate", {"target": "metadata", "schema": {"properties": {"n": {"const": 0}}}})
    assert batch.total == 2
    assert (outcome["checked"], outcome["invalid"]) == (number, number // 2)
    assert outcome["mostCommon"] == [{"path": "n", "category": "enum", "message": "Must be 0.", "records": number // 2}]
