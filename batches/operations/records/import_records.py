"""Rows of an uploaded table become records (document 004's bulk imports).

An item is a chunk of rows, written by one transaction together with the item's receipt (:mod:`batches.once`). An item
per row was measured as well: see docs/architecture.md. A row that cannot be written is named in its chunk's result with
its column, and in a file of all of them; its neighbours are written.

The file is read once, to its end, when the batch is built: it is refused as a whole, or all of its rows are in a file
of JSON lines of which each item knows its stretch. A row without key and id gets a key made of the file's contents and
the row's number, so that neither a second run nor a second upload of the same file doubles it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.files.base import File
from django.db.models import IntegerField, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from batches.files import LINES_TYPE, FileMissing, Upload, find_file, store_uploads
from batches.local_copies import copies, local_path
from batches.models import Batch, StoredFile
from batches.once import NotOurs, once
from batches.operations.base import Attempt, CannotFinish, Operation
from batches.operations.batch_options import read_description, read_name, read_options
from batches.operations.payload import Fields, Problems, short_name
from batches.operations.records.chunk_results import results_of, store_csv, totals
from batches.operations.records.matching_records import without_database_later
from batches.operations.records.record_chunks import place
from batches.operations.records.record_columns import (
    ID,
    IDENTITY,
    ColumnMap,
    RowError,
    read_columns,
    read_defaults,
)
from batches.options import NewBatch, NewItem
from batches.outcomes import Fault, Outcome, Rejected, Snooze, Succeeded
from batches.problems import InvalidInput, Problem
from batches.states import Channel, ItemStatus
from batches.tables.chunks import Chunk, CutTable, read_chunk
from batches.tables.csv_rows import DELIMITERS, ENCODINGS
from batches.tables.isolation import cut_table
from batches.tables.names import plain_name
from batches.tables.reading import FORMATS, ReadingOptions
from batches.tables.rows import Row, UnreadableTable
from providers.base import ErrorCategory
from records.importing import KEY, RecordRow, Written, write_rows

NAME = "import"
CHUNK_ROWS = 500
CONCURRENCY = 16
"""Chunks leased at once. Fewer run, see :mod:`batches.operations.records.record_chunks`; the others stand by."""
ERRORS_FILE = "errors.csv"
ERROR_COLUMNS = ("row", "column", "code", "message")
COUNTS = ("rows", "created", "updated", "failed")
SHOWN_ROWS = 10
SHOWN_PROBLEMS = 100
CHECKED_ROWS = 10_000
"""Rows that a dry run looks at."""
NEEDED = (*IDENTITY, "content", "title")
_GONE = Rejected(Fault(ErrorCategory.NOT_FOUND, "file_missing", "The rows of this import are not there any more."))


class ImportRecords(Operation):
    """A chunk of rows, one transaction."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.DATA
    summary: ClassVar[str] = "Writes the rows of an uploaded CSV, JSON, JSON lines or XLSX file into records."
    accepts: ClassVar[Mapping[str, str]] = {
        "fileId": "The uploaded file.",
        "format": f"One of {', '.join(FORMATS)}; without it, what the file says.",
        "columns": "Which field a column of the file fills, where their names differ; null leaves a column out.",
        "defaults": "Values for fields that a row leaves empty.",
        "delimiter": "Of CSV, where it is not found out.",
        "encoding": "Of CSV, where it is neither UTF-8 nor Windows-1252.",
        "sheet": "Of XLSX, by its name; without it the first visible one.",
    }
    uses_database: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Read the body and the whole file. The rows are stored for the batch when everything is found good."""
        problems = Problems()
        fields = Fields(payload, problems)
        stored = _file(owner_id, fields)
        columns = read_columns(fields.find("columns")[1], "columns", problems)
        defaults = read_defaults(fields.find("defaults")[1], "defaults", problems)
        reading = _reading(fields, stored)
        name, description = read_name(fields), read_description(fields)
        options = read_options(fields, concurrency=CONCURRENCY, retries=settings.BATCH_MAX_RETRIES)
        fields.refuse_unknown()
        problems.raise_if_any()
        assert stored is not None  # noqa: S101 - a missing one is a problem
        table, rows = _cut(owner_id, stored, reading, columns, defaults)
        return NewBatch(
            operation=NAME,
            provider="",
            items=[_item(chunk) for chunk in table.chunks],
            parameters={
                "rowsFile": rows.public_id,
                "columns": columns,
                "defaults": defaults,
                "typed": table.typed,
                "digest": table.digest[:24],
            },
            options=options,
            name=name or f"Import of {stored.name}"[:200],
            description=description,
            warnings=[*fields.warnings, *table.warnings],
            stored_files=[rows.public_id],
        )

    def preview(self, owner_id: int, new: NewBatch) -> Mapping[str, Any]:
        """The first rows as records, what the columns mean, and what is wrong with the first of many rows."""
        parameters = new.parameters
        shown: list[dict[str, Any]] = []
        found: list[RowError] = []
        columns: dict[str, str | None] = {}
        reader = _column_map(parameters)
        checked = failed = 0
        for row, duplicate_of in islice(_stored_rows(owner_id, parameters, new.items), CHECKED_ROWS):
            columns |= {column: reader.target(column) for column in row.cells if column not in columns}
            read, errors = _read(reader, row, duplicate_of, parameters["digest"])
            checked, failed = checked + 1, failed + bool(errors)
            found += errors[: SHOWN_PROBLEMS - len(found)]
            if len(shown) < SHOWN_ROWS:
                shown.append(_shown(read))
        return {
            "total": sum(item.input["rows"] for item in new.items),
            "columns": columns,
            "items": shown,
            "checkedRows": checked,
            "failedRows": failed,
            "problems": [error.shape() for error in found],
            "warnings": list(new.warnings),
        }

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Write the chunk's rows, once."""
        try:
            with place():
                rows = _read_chunk(attempt)  # not in the transaction: the rows may lie far away
                result = once(attempt.item_id, partial(_write_chunk, attempt, rows))
        except NotOurs:
            return Snooze()  # nobody waits for this attempt any more
        except FileMissing:
            return _GONE
        return Succeeded(result, quality=1 - result["failed"] / result["rows"])

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Add up the chunks; the rows that were refused become a file."""
        counts = totals(batch, COUNTS)
        files = []
        if counts["failed"]:
            errors = (error for result in results_of(batch) for error in result["errors"])
            rows = ([error[name] for name in ERROR_COLUMNS] for error in errors)
            stored = store_csv(batch, ERRORS_FILE, ERROR_COLUMNS, rows)
            files.append({"fileId": stored.public_id, "name": stored.name})
        if counts["rows"] and counts["failed"] == counts["rows"]:
            raise CannotFinish(f"No row could be imported; {ERRORS_FILE} says why.")
        return {**counts, "unwritten": _unwritten(batch), "files": files}


def _unwritten(batch: Batch) -> int:
    """Rows of chunks that failed as a whole: a retry of the batch writes them."""
    rows = Cast(KeyTextTransform("rows", "input"), IntegerField())
    return batch.items.exclude(status=ItemStatus.SUCCEEDED).aggregate(rows=Sum(rows))["rows"] or 0


def _file(owner_id: int, fields: Fields) -> StoredFile | None:
    path, file_id = fields.find("fileId")
    if file_id is None:
        fields.problems.add(path, "Is required: the id that POST /api/files answered.", "required")
        return None
    try:
        return find_file(owner_id, file_id if isinstance(file_id, str) else "")
    except FileMissing:
        fields.problems.add(path, "Must be the id of an uploaded file.", "unknown_file")
        return None


def _reading(fields: Fields, stored: StoredFile | None) -> ReadingOptions:
    delimiter = fields.choice("delimiter", choices=list(DELIMITERS), default="")
    return ReadingOptions(
        name=stored.name if stored else "",
        format=fields.choice("format", choices=FORMATS, default="") or None,
        encoding=fields.choice("encoding", choices=ENCODINGS, default="") or None,
        delimiter=DELIMITERS.get(delimiter),
        sheet=fields.text("sheet", maximum=100) or None,
        most_bytes=settings.IMPORT_MAX_UNPACKED_BYTES,
    )


def _cut(
    owner_id: int,
    stored: StoredFile,
    reading: ReadingOptions,
    columns: Mapping[str, str | None],
    defaults: Mapping[str, Any],
) -> tuple[CutTable, StoredFile]:
    """Read the file and store its rows. Raises :class:`InvalidInput`, and then nothing is stored."""
    plainly = {plain_name(column) for column in columns}
    cutting = {
        "chunk_rows": CHUNK_ROWS,
        "most_rows": settings.IMPORT_MAX_ROWS,
        "identity": [column for name in IDENTITY for column, target in columns.items() if target == name],
        "plain_identity": [name for name in IDENTITY if name not in plainly],
    }
    try:
        with local_path(owner_id, stored.public_id) as path, tempfile.NamedTemporaryFile(prefix="batchsite-") as rows:
            table = cut_table(path, Path(rows.name), reading, cutting)
            _check_columns(ColumnMap(columns, defaults, typed=table.typed), columns, table.columns)
            content = File(rows, name="rows.jsonl")
            uploads = [Upload("rows.jsonl", LINES_TYPE, content)]
            return table, store_uploads(owner_id, uploads, for_batch=True)[0]
    except UnreadableTable as reason:
        raise InvalidInput([Problem("fileId", str(reason), reason.code)]) from None
    except FileMissing:
        raise InvalidInput([Problem("fileId", "The file is not there any more.", "unknown_file")]) from None


def _check_columns(reader: ColumnMap, given: Mapping[str, str | None], found: Sequence[str]) -> None:
    problems = Problems()
    for column in given:
        if column not in found:
            problems.add(f"columns.{short_name(column)}", "Is no column of the file.", "unknown_column")
    by_target: dict[str, str] = {}
    for column in found:
        target = reader.target(column)
        if target is not None and by_target.setdefault(target, column) != column:
            first = short_name(by_target[target])
            message = f"Fills the same field as column {first}: say in `columns` which one is meant."
            problems.add(f"columns.{short_name(column)}", message, "duplicate_column")
    if not any(target in by_target for target in NEEDED):
        named = ", ".join(short_name(column) for column in found[:20])
        message = f"No column fills {', '.join(NEEDED)}. The file has: {named}. Say in `columns` what they are."
        problems.add("columns", message, "no_known_column")
    problems.raise_if_any()


def _item(chunk: Chunk) -> NewItem:
    place_of = {"offset": chunk.offset, "length": chunk.length, "rows": chunk.rows, "duplicates": chunk.duplicates}
    return NewItem(f"rows {chunk.first}-{chunk.last}", place_of)


def _column_map(parameters: Mapping[str, Any]) -> ColumnMap:
    return ColumnMap(parameters["columns"], parameters["defaults"], typed=parameters["typed"])


def _stored_rows(
    owner_id: int, parameters: Mapping[str, Any], items: Iterable[NewItem]
) -> Iterable[tuple[Row, int | None]]:
    """Rows, each with the number of an earlier row of the same key, if there is one."""
    with copies.open(owner_id, parameters["rowsFile"]) as file:
        for item in items:
            for row in read_chunk(file, item.input["offset"], item.input["length"]):
                yield row, item.input["duplicates"].get(str(row.number))


def _read(reader: ColumnMap, row: Row, duplicate_of: int | None, digest: str) -> tuple[RecordRow, list[RowError]]:
    read, errors = reader.read(row)
    if duplicate_of is not None:
        column = reader.column_of(KEY if read.key else ID, row.cells)
        message = f"Names the same record as row {duplicate_of}."
        errors.append(RowError(row.number, column, message, "duplicate"))
    if not read.key and not read.public_id:
        read.key = f"import:{digest}:{row.number}"
    return read, errors


def _shown(read: RecordRow) -> dict[str, Any]:
    return {"row": read.number, "id": read.public_id, "key": read.key, **read.values, "metadata": read.metadata}


@dataclass(slots=True)
class _ChunkRows:
    """What a chunk's stretch of the file holds. ``columns`` are all of its rows'."""

    good: list[RecordRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)


def _read_chunk(attempt: Attempt) -> _ChunkRows:
    parameters, rows = attempt.parameters, _ChunkRows()
    reader = _column_map(parameters)
    for row, duplicate_of in _stored_rows(attempt.owner_id, parameters, [NewItem(attempt.key, attempt.input)]):
        rows.columns |= dict.fromkeys(row.cells)
        read, found = _read(reader, row, duplicate_of, parameters["digest"])
        rows.errors += found
        if not found:
            rows.good.append(read)
    return rows


def _write_chunk(attempt: Attempt, rows: _ChunkRows) -> dict[str, Any]:
    reader = _column_map(attempt.parameters)
    written = write_rows(attempt.owner_id, rows.good) if rows.good else Written()
    refused = [
        RowError(one.number, reader.column_of(one.target, rows.columns), one.message, one.code)
        for one in written.refused
    ]
    errors = sorted([*rows.errors, *refused], key=lambda error: error.row)
    return {
        "rows": attempt.input["rows"],
        "created": written.created,
        "updated": written.updated,
        "failed": attempt.input["rows"] - written.created - written.updated,
        "errors": [error.shape() for error in errors],
    }
