"""Data quality checks (document 004): every matching record against a JSON Schema.

The record is compared as one document: ``id, key, kind, status, title, content, summary, tags, metadata, memory_type,
project_ref, quality, relevance_score, created_at, updated_at``; or, with ``"target": "metadata"``, its metadata alone.
An item is a chunk of records. Nothing of a record is changed, but for ``metadata.validation_status`` where the client
asks for that mark.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from django.db import connection
from jsonschema.protocols import Validator

from batches.models import Batch
from batches.once import NotOurs, once
from batches.operations.base import Attempt
from batches.operations.payload import Fields
from batches.operations.records.chunk_results import results_of, store_csv, totals
from batches.operations.records.chunked import ChunkedOperation
from batches.operations.records.json_schemas import SCHEMA, Failure, failures_of, read_schema, validator_of
from batches.operations.records.matching_records import stretch, without_database_later
from batches.operations.records.record_chunks import place
from batches.outcomes import Fault, Outcome, Rejected, Snooze, Succeeded
from batches.time_bound import TooSlow, at_most
from providers.base import ErrorCategory

NAME = "validate"
TARGETS = ("record", "metadata")
FAILURES_FILE = "failures.csv"
SLICE_RECORDS = 100
SECONDS_PER_RECORD = 0.25
MOST_TOO_SLOW = 3
"""In a chunk. A schema that takes longer so often is given up: each time it stops everything else in its worker."""
TURN_SECONDS = 0.02
"""After so much computing the worker's other greenlets have their turn."""
MOST_KINDS = 10_000
SHOWN_KINDS = 20

COLUMNS = (
    "public_id", "key", "kind", "status", "title", "content", "summary", "tags", "metadata", "memory_type",
    "project_ref", "quality", "relevance", "created_at", "updated_at",
)  # fmt: skip
NAMES = {"public_id": "id", "relevance": "relevance_score"}
"""How clients call the columns that have another name."""

_TOO_SLOW = Rejected(
    Fault(
        ErrorCategory.INVALID_REQUEST,
        "schema_too_slow",
        f"To compare a record with the schema takes more than {SECONDS_PER_RECORD} s of CPU: look at its patterns.",
    )
)


class Validate(ChunkedOperation):
    """A chunk of records, each against the schema."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Validation of records"
    summary: ClassVar[str] = "Compares records with a JSON Schema; failures by category, one by one and in a CSV file."
    accepts: ClassVar[Mapping[str, str]] = {
        "filters": "Which records: fields or names of the metadata, and what they must be. Without it, all of them.",
        "schema": "JSON Schema, draft 4 to 2020-12, complete in itself.",
        "target": "record (the whole record as one document) or metadata.",
        "markRecords": "true: write metadata.validation_status, valid or invalid.",
        "failuresFile": "false: make no CSV file of the failures.",
    }

    def read(self, fields: Fields, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The schema, and what to do with what it says."""
        path, given = fields.find("schema")
        return {
            "schema": read_schema(given, path, fields.problems, fields.warnings),
            "target": fields.choice("target", choices=TARGETS, default="record"),
            "markRecords": fields.boolean("markRecords", default=False),
            "failuresFile": fields.boolean("failuresFile", default=True),
        }

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Compare; where records are marked, once, as the marks may change which records match."""
        try:
            with place(attempt.timeout_seconds / 2):
                if attempt.parameters["markRecords"]:
                    result = once(attempt.item_id, partial(_check_chunk, attempt))
                else:
                    result = _check_chunk(attempt)
        except GivenUp:
            return _TOO_SLOW
        except NotOurs:
            return Snooze()  # nobody waits for this attempt any more
        return Succeeded(result, quality=round(result["valid"] / result["checked"], 4) if result["checked"] else None)

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Add up the chunks; the failures become a file, a row each."""
        counts = totals(batch, ("checked", "valid", "invalid"))
        kinds: Counter[tuple[str, str, str]] = Counter()
        categories: Counter[str] = Counter()
        for result in results_of(batch):
            categories.update(result["byCategory"])
            _count_kinds(kinds, result["failures"])
        files = []
        if categories and batch.parameters["failuresFile"]:
            stored = store_csv(batch, FAILURES_FILE, ("id", "path", "category", "message"), _rows(batch))
            files.append({"fileId": stored.public_id, "name": stored.name})
        common = [
            {"path": path, "category": category, "message": message, "records": number}
            for (path, category, message), number in kinds.most_common(SHOWN_KINDS)
        ]
        return {**counts, "byCategory": dict(categories.most_common()), "mostCommon": common, "files": files}


class GivenUp(Exception):
    """The schema is too slow for these records."""


def _check_chunk(attempt: Attempt) -> dict[str, Any]:
    report, turns = Report(), Turns()
    validator = validator_of(attempt.parameters["schema"])
    for records in _slices(attempt):
        judged = []
        for record in records:
            failures = _judge(validator, _document(record, attempt.parameters["target"]))
            report.add(record["public_id"], failures)
            judged.append((record["id"], record["updated_at"], failures == []))
            if report.too_slow >= MOST_TOO_SLOW:
                raise GivenUp
            turns.pass_on()
        if attempt.parameters["markRecords"]:
            _mark(judged)
    return report.shape


@dataclass(slots=True)
class Report:
    """What was found in a chunk."""

    checked: int = 0
    invalid: int = 0
    too_slow: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    records: defaultdict[Failure, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, public_id: str, failures: Sequence[Failure] | None) -> None:
        """One record; None where it took too long."""
        self.checked += 1
        if failures is None:
            self.too_slow += 1
            failures = [Failure("", SCHEMA, "To compare it with the schema takes too long.")]
        self.invalid += bool(failures)
        for failure in dict.fromkeys(failures):
            self.categories[failure.category] += 1
            self.records[failure].append(public_id)

    @property
    def shape(self) -> dict[str, Any]:
        """The item's result: each failure with the records that have it."""
        return {
            "checked": self.checked,
            "valid": self.checked - self.invalid,
            "invalid": self.invalid,
            "byCategory": dict(self.categories.most_common()),
            "failures": [
                {"path": one.path, "category": one.category, "message": one.message, "records": records}
                for one, records in self.records.items()
            ],
        }


class Turns:
    """Lets others have their turn: a chunk computes for tenths of a second."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def pass_on(self) -> None:
        """Give way when it is time to; under gevent other greenlets run meanwhile."""
        if time.monotonic() - self._since > TURN_SECONDS:
            time.sleep(0)
            self._since = time.monotonic()


def _judge(validator: Validator, document: Any) -> list[Failure] | None:
    try:
        with at_most(SECONDS_PER_RECORD):
            return failures_of(validator, document)
    except TooSlow:
        return None


def _document(record: Mapping[str, Any], target: str) -> Any:
    if target == "metadata":
        return record["metadata"]
    document = {NAMES.get(column, column): record[column] for column in COLUMNS}
    for name in ("created_at", "updated_at"):
        document[name] = _instant(document[name])
    return document


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _slices(attempt: Attempt) -> Iterator[list[dict[str, Any]]]:
    """The chunk's records, some at a time; no connection is held while they are compared."""
    columns = COLUMNS if attempt.parameters["target"] == "record" else ("public_id", "metadata", "updated_at")
    after, through, filters = attempt.input["after"], attempt.input["through"], attempt.parameters["filters"]
    while True:
        records = stretch(attempt.owner_id, filters, after=after, through=through)
        found: list[dict[str, Any]] = list(records.values("id", *columns)[:SLICE_RECORDS])
        if not connection.in_atomic_block:
            connection.close()
        if not found:
            return
        yield found
        after = found[-1]["id"]


# A record that was changed since it was read is not marked: it is another one now.
_MARK = """
    UPDATE records_record AS record
       SET metadata = record.metadata || jsonb_build_object('validation_status', judged.status),
           updated_at = clock_timestamp()
      FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[]) AS judged (id, updated_at, status)
     WHERE record.id = judged.id AND record.updated_at = judged.updated_at
       AND record.metadata ->> 'validation_status' IS DISTINCT FROM judged.status
"""


def _mark(judged: Sequence[tuple[int, datetime, bool]]) -> None:
    ids, moments = [one[0] for one in judged], [one[1] for one in judged]
    words = ["valid" if one[2] else "invalid" for one in judged]
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [ids, moments, words])


def _count_kinds(kinds: Counter[tuple[str, str, str]], failures: Sequence[Mapping[str, Any]]) -> None:
    """Which failures are the most common, places in lists taken together; bounded, as paths may be many."""
    for failure in failures:
        path = ".".join("*" if part.isdigit() else part for part in failure["path"].split("."))
        kind = (path, failure["category"], failure["message"])
        if kind in kinds or len(kinds) < MOST_KINDS:
            kinds[kind] += len(failure["records"])


def _rows(batch: Batch) -> Iterator[tuple[str, str, str, str]]:
    for result in results_of(batch):
        for failure in result["failures"]:
            for public_id in failure["records"]:
                yield public_id, failure["path"], failure["category"], failure["message"]
