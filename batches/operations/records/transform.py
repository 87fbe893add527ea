"""Declared changes to many records (document 004's bulk transformations).

An item is a chunk of records, changed by one transaction that also keeps the item's receipt (:mod:`batches.once`): a
change such as "b to a, then c to b" is made once, however often the item runs. A record that cannot be changed as
declared stays as it was and is named in the chunk's result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.db import connection

from batches.models import Batch
from batches.once import NotOurs, once
from batches.operations.base import Attempt
from batches.operations.payload import Fields
from batches.operations.records.chunk_results import results_of, store_csv, totals
from batches.operations.records.chunked import ChunkedOperation
from batches.operations.records.matching_records import stretch, without_database_later
from batches.operations.records.record_changes import RowError, Values, apply, read_changes, same, touched
from batches.operations.records.record_chunks import place
from batches.operations.records.record_fields import FIELDS, METADATA
from batches.options import NewBatch
from batches.outcomes import Outcome, Snooze, Succeeded

NAME = "transform"
ERRORS_FILE = "errors.csv"
SLICE_RECORDS = 100
"""Records in memory at once: a content has up to 100,000 characters."""
SHOWN_IN_PREVIEW = 10
MOST_PREVIEWED = 10_000
PREVIEW_SECONDS = 2.0
COUNTS = ("matched", "changed", "unchanged", "failed")

Row = tuple[int, str, Values]
"""A record's number, its public id, and the values that the changes touch."""


class Transform(ChunkedOperation):
    """A chunk of records, the same changes to each."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Transformation of records"
    summary: ClassVar[str] = "Changes records: set, rename, remove, map and convert fields; add, remove and move tags."
    accepts: ClassVar[Mapping[str, str]] = {
        "filters": "Which records: fields or names of the metadata, and what they must be. Without it, all of them.",
        "changes": "What to change, in order: objects with an action and what it needs.",
    }

    def read(self, fields: Fields, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The changes."""
        path, given = fields.find("changes")
        return {"changes": read_changes(given, path, fields.problems)}

    def preview(self, owner_id: int, new: NewBatch) -> Mapping[str, Any]:
        """The first records before and after, how many match, and of the first many how many would change."""
        changes, filters = new.parameters["changes"], new.parameters["filters"]
        matched = stretch(owner_id, filters, after=0, through=2**62).count()
        counts = {"examined": 0, "wouldChange": 0, "wouldFail": 0}
        shown: list[dict[str, Any]] = []
        until = time.monotonic() + PREVIEW_SECONDS
        for _, public_id, before in _rows(owner_id, filters, changes, after=0, through=2**62):
            counts["examined"] += 1
            after, error = _applied(changes, before)
            counts["wouldFail"] += error is not None
            counts["wouldChange"] += after is not None
            if len(shown) < SHOWN_IN_PREVIEW:
                shown.append({"id": public_id, "before": before, "after": after or before, "error": error})
            if counts["examined"] == MOST_PREVIEWED or time.monotonic() > until:
                break
        return {"matched": matched, **counts, "examples": shown}

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Change the chunk's records, once."""
        try:
            with place(attempt.timeout_seconds / 2):
                return Succeeded(once(attempt.item_id, partial(_change_chunk, attempt)))
        except NotOurs:
            return Snooze()  # nobody waits for this attempt any more

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Add up the chunks; the records that could not be changed become a file."""
        counts = totals(batch, COUNTS)
        files = []
        if counts["failed"]:
            rows = (
                (error["id"], error["field"], error["code"], error["message"])
                for result in results_of(batch)
                for error in result["errors"]
            )
            stored = store_csv(batch, ERRORS_FILE, ("id", "field", "code", "message"), rows)
            files.append({"fileId": stored.public_id, "name": stored.name})
        return {**counts, "files": files}


def _applied(changes: Sequence[Mapping[str, Any]], before: Values) -> tuple[Values | None, dict[str, str] | None]:
    """The new values, None where nothing changes; or what is wrong."""
    try:
        after = apply(changes, before)
    except RowError as error:
        return None, {"field": error.field, "code": error.code, "message": error.message}
    return (None if same(before, after) else after), None


def _change_chunk(attempt: Attempt) -> dict[str, Any]:
    changes, filters = attempt.parameters["changes"], attempt.parameters["filters"]
    statement = update_statement(touched(changes))
    counts = dict.fromkeys(COUNTS, 0)
    errors: list[dict[str, str]] = []
    after, through = attempt.input["after"], attempt.input["through"]
    for rows in _slices(attempt.owner_id, filters, changes, after=after, through=through, lock=True):
        changed: list[dict[str, Any]] = []
        for pk, public_id, before in rows:
            counts["matched"] += 1
            values, error = _applied(changes, before)
            if error is not None:
                counts["failed"] += 1
                errors.append({"id": public_id, **error})
            elif values is None:
                counts["unchanged"] += 1
            else:
                changed.append(_new_row(pk, before, values))
        if changed:
            with connection.cursor() as cursor:
                cursor.execute(statement, [json.dumps(changed, ensure_ascii=False)])
                counts["changed"] += cursor.rowcount
    return {**counts, "errors": errors}


def _rows(
    owner_id: int, filters: Mapping[str, Any], changes: Sequence[Any], *, after: int, through: int
) -> Iterator[Row]:
    for rows in _slices(owner_id, filters, changes, after=after, through=through, lock=False):
        yield from rows


def _slices(
    owner_id: int, filters: Mapping[str, Any], changes: Sequence[Any], *, after: int, through: int, lock: bool
) -> Iterator[list[Row]]:
    """The records of a stretch, some at a time, with the values that the changes touch."""
    names = sorted(touched(changes))
    columns = [METADATA if name == METADATA else FIELDS[name].column for name in names]
    while True:
        records = stretch(owner_id, filters, after=after, through=through)
        if lock:
            records = records.select_for_update(no_key=True, of=("self",))
        found = list(records.values_list("pk", "public_id", *columns)[:SLICE_RECORDS])
        if not found:
            return
        yield [(pk, public_id, dict(zip(names, values, strict=True))) for pk, public_id, *values in found]
        after = found[-1][0]


def _new_row(pk: int, before: Values, after: Values) -> dict[str, Any]:
    """The columns of a changed record; of its metadata only the names that change, so that the rest stays exact."""
    row = {FIELDS[name].column: value for name, value in after.items() if name != METADATA}
    if METADATA in after:
        old, new = before[METADATA], after[METADATA]
        row["removed"] = [name for name in old if name not in new]
        row["patch"] = {name: value for name, value in new.items() if name not in old or not same(old[name], value)}
    return {"id": pk, **row}


def update_statement(names: set[str]) -> str:
    """One UPDATE of many records, of these fields alone: writing a searched one computes its search index anew."""
    assigned, typed = ["updated_at = clock_timestamp()"], ["id bigint"]
    for name in sorted(names):
        if name == METADATA:
            assigned.append("metadata = (record.metadata - change.removed) || change.patch")
            typed += ["removed text[]", "patch jsonb"]
        else:
            column = FIELDS[name].column
            assigned.append(f"{column} = change.{column}")
            typed.append(f"{column} {FIELDS[name].sql_type}")
    return (
        f"UPDATE records_record AS record SET {', '.join(assigned)}"  # noqa: S608 - columns of FIELDS
        f" FROM json_to_recordset(%s::json) AS change ({', '.join(typed)}) WHERE record.id = change.id"
    )
