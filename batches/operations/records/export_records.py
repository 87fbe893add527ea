"""The records that match filters become a file (document 004's bulk exports).

An item is a chunk of records, which it writes as a part of the file; when all parts are there they are joined, in the
order of the records' ids. Neither a part nor the whole is ever in memory. A record that does not match any more when
its chunk runs is left out, one that came after the batch is not in it.

What is written as CSV, JSON, JSON lines or XLSX can be imported again and comes out the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

from django.core.files.base import File
from django.db.models import QuerySet

from batches.files import UNKNOWN_TYPE, FileMissing, Upload, discard_files, keep_with_batch, open_file, store_uploads
from batches.models import Batch, StoredFile
from batches.operations.base import Attempt, CannotFinish
from batches.operations.payload import Fields, Problems, text_fault
from batches.operations.records.chunk_results import results_of, totals
from batches.operations.records.chunked import ChunkedOperation
from batches.operations.records.matching_records import stretch, without_database_later
from batches.operations.records.record_chunks import CHUNK_RECORDS, place
from batches.options import NewBatch, Paged
from batches.outcomes import Outcome, Succeeded
from batches.result_files import result_files, store_result
from batches.tables.isolation import write_xlsx
from batches.tables.reading import FORMATS
from batches.tables.rows import MOST_COLUMNS, UnreadableTable
from batches.tables.sheet import MOST_ROWS, is_too_long
from batches.tables.writing import MEDIA_TYPES, join_parts, spreadsheet_cell, write_rows

NAME = "export"
CONCURRENCY = 16
"""Chunks leased at once. Fewer run, see :mod:`batches.operations.records.record_chunks`; the others stand by."""
FILE_NAME = "records"
PART = "part"
KEPT_IN_MEMORY = 4 * 1024 * 1024
SLICE_RECORDS = 100
"""Records in memory at once: a content has up to 100,000 characters."""
MOST_NAMED = 20
LONGEST_NAME = 255
SHOWN_ROWS = 10
METADATA = "metadata"
METADATA_PREFIX = "metadata."

COLUMNS = {
    "id": "public_id",
    "key": "key",
    "kind": "kind",
    "status": "status",
    "title": "title",
    "content": "content",
    "summary": "summary",
    "tags": "tags",
    "memory_type": "memory_type",
    "topic_id": "topic__public_id",
    "project_ref": "project_ref",
    "quality": "quality",
    "relevance_score": "relevance",
    "created_at": "created_at",
    "updated_at": "updated_at",
    METADATA: METADATA,
    "access_count": "access_count",
    "last_accessed": "last_accessed",
}
"""What a column can show, and where it is stored."""
USUAL = tuple(name for name in COLUMNS if name not in {"access_count", "last_accessed"})


class ExportRecords(ChunkedOperation):
    """A chunk of records, a part of the file."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Export of records"
    chunks_at_once: ClassVar[int] = CONCURRENCY
    summary: ClassVar[str] = "Writes the records that match into a CSV, JSON, JSON lines or XLSX file."
    accepts: ClassVar[Mapping[str, str]] = {
        "filters": "Which records: fields or names of the metadata, and what they must be. Without it, all of them.",
        "format": f"One of {', '.join(FORMATS)}; csv without it.",
        "columns": "Which fields, in this order; metadata.<name> is a name of the metadata.",
    }

    def read(self, fields: Fields, filters: Mapping[str, Any]) -> dict[str, Any]:
        """Format and columns."""
        return {"format": fields.choice("format", choices=FORMATS, default="csv"), "columns": _columns(fields)}

    def check_source(self, parameters: Mapping[str, Any], source: Paged, problems: Problems) -> None:
        """A sheet has an end."""
        if parameters["format"] == "xlsx" and (source.number - 1) * CHUNK_RECORDS >= MOST_ROWS:
            problems.add("format", f"A sheet of XLSX holds at most {MOST_ROWS - 1} records.", "too_many")

    def preview(self, owner_id: int, new: NewBatch) -> Mapping[str, Any]:
        """How many records match, and the first of them as they would be written."""
        filters, columns, form = (new.parameters[name] for name in ("filters", "columns", "format"))
        total = stretch(owner_id, filters, after=0, through=2**62).count()
        shown = []
        for _, row in _rows(owner_id, filters, columns, after=0, through=2**62, most=SHOWN_ROWS):
            typed = form in {"json", "jsonl"}
            shown.append(row if typed else {column: spreadsheet_cell(row, column) for column in columns})
            if len(shown) == SHOWN_ROWS:
                break
        return {"total": total, "columns": columns, "items": shown}

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Write the chunk's part. One that runs twice leaves two, and the one that its result names counts."""
        parameters, cut = attempt.parameters, list[str]()
        with place(), tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY) as part:
            records = _rows(
                attempt.owner_id,
                parameters["filters"],
                parameters["columns"],
                after=attempt.input["after"],
                through=attempt.input["through"],
            )
            form, columns = parameters["format"], parameters["columns"]
            rows = _noting_long_cells(records, columns, cut) if form == "xlsx" else records
            count = write_rows(part, (row for _, row in rows), form=form, columns=columns)
            size = part.tell()
            stored = _keep_part(attempt, part)
        return Succeeded({"rows": count, "bytes": size, "cut": len(cut), "cutRecords": cut[:MOST_NAMED], PART: stored})

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Join the parts in their order, keep the file, and remove the parts."""
        if batch.failed or batch.unknown:
            raise CannotFinish("Some records could not be written: retry the batch.")
        form, columns = batch.parameters["format"], batch.parameters["columns"]
        counts = totals(batch, ("rows", "cut"))
        stored = _joined_before(batch) or _join(batch, form, columns)
        _forget_parts(batch)
        outcome = {
            "rows": counts["rows"],
            "files": [{"fileId": stored.public_id, "name": stored.name, "size": stored.size}],
        }
        if counts["cut"]:
            named = [record for result in results_of(batch) for record in result["cutRecords"]][:MOST_NAMED]
            warning = (
                f"{counts['cut']} cells are longer than XLSX allows and were cut; CSV, JSON and JSONL hold them whole."
            )
            outcome |= {"cutCells": counts["cut"], "cutRecords": named, "warnings": [warning]}
        return outcome


def _columns(fields: Fields) -> list[str]:
    path, value = fields.find("columns")
    if value is None:
        return list(USUAL)
    if not isinstance(value, list) or not value:
        fields.problems.add(path, "Must be a list of columns.", "invalid_type")
        return []
    if len(value) > MOST_COLUMNS:
        fields.problems.add(path, f"Must hold at most {MOST_COLUMNS} columns.", "too_many")
        return []
    columns: dict[str, None] = {}
    for index, column in enumerate(value):
        if not _is_column(column):
            message = f"Must be metadata.<name>, or one of {', '.join(COLUMNS)}."
            fields.problems.add(f"{path}.{index}", message, "unknown_column")
        elif column in columns:
            fields.problems.add(f"{path}.{index}", "Is in the list twice.", "duplicate")
        else:
            columns[column] = None
    return list(columns)


def _is_column(column: object) -> bool:
    if not isinstance(column, str) or text_fault(column, maximum=LONGEST_NAME):
        return False
    return column in COLUMNS or (column.startswith(METADATA_PREFIX) and bool(column[len(METADATA_PREFIX) :].strip()))


def _rows(
    owner_id: int,
    filters: Mapping[str, Any],
    columns: Sequence[str],
    *,
    after: int,
    through: int,
    most: int = SLICE_RECORDS,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Public id and row of each record of a stretch; so many are read at a time."""
    plain = [column for column in columns if column in COLUMNS]
    names = [column for column in columns if column not in COLUMNS]
    stored = ["pk", "public_id", *(COLUMNS[column] for column in plain), *([METADATA] if names else [])]
    while True:
        records = stretch(owner_id, filters, after=after, through=through)
        found = list(records.values_list(*stored)[:most])
        if not found:
            return
        for pk, public_id, *values in found:
            row = dict(zip(plain, map(_json_value, values), strict=False))
            if names:
                metadata = values[-1]
                row |= {one: metadata[name] for one in names if (name := one[len(METADATA_PREFIX) :]) in metadata}
            yield public_id, row
            after = pk


def _json_value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value) if hasattr(value, "hex") and not isinstance(value, float) else value


def _noting_long_cells(
    records: Iterator[tuple[str, dict[str, Any]]], columns: Sequence[str], cut: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for public_id, row in records:
        cut += [public_id] * sum(is_too_long(spreadsheet_cell(row, column)) for column in columns)
        yield public_id, row


def _keep_part(attempt: Attempt, part: IO[bytes]) -> str:
    """Store a part with its batch; returns its id."""
    upload = Upload(PART, UNKNOWN_TYPE, File(part, name=PART))
    stored = store_uploads(attempt.owner_id, [upload], for_batch=True)[0]
    try:
        keep_with_batch(Batch.objects.get(items__id=attempt.item_id), [stored.public_id])
    except Batch.DoesNotExist:
        discard_files(attempt.owner_id, [stored.public_id])
    return stored.public_id


def _joined_before(batch: Batch) -> StoredFile | None:
    """The whole file, if a worker that died had begun to remove the parts: it does so only when the file is kept."""
    whole = result_files(batch).filter(name=_file_name(batch)).first()
    named = sum(1 for _ in results_of(batch))
    return whole if named and _parts(batch).count() < named else None


def _file_name(batch: Batch) -> str:
    return f"{FILE_NAME}.{batch.parameters['format']}"


def _join(batch: Batch, form: str, columns: Sequence[str]) -> StoredFile:
    with tempfile.NamedTemporaryFile(prefix="batchsite-") as whole:
        parts = _opened_parts(batch)
        try:
            if form == "xlsx":
                _join_sheet(whole, parts, columns)
            else:
                join_parts(whole, parts, form=form, columns=columns)
            whole.flush()
        except FileMissing:
            raise CannotFinish("A part of the file is not there any more: run the export again.") from None
        except UnreadableTable as reason:
            raise CannotFinish(str(reason)) from None
        return store_result(batch, _file_name(batch), MEDIA_TYPES[form], File(whole, name=FILE_NAME))


def _join_sheet(whole: IO[bytes], parts: Iterator[IO[bytes]], columns: Sequence[str]) -> None:
    """Written elsewhere: it computes for seconds, and the calls of this worker would wait for it."""
    with tempfile.NamedTemporaryFile(prefix="batchsite-") as lines:
        join_parts(lines, parts, form="jsonl", columns=columns)
        lines.flush()
        write_xlsx(Path(lines.name), Path(whole.name), columns)


def _opened_parts(batch: Batch) -> Iterator[IO[bytes]]:
    """One after the other, each closed when the next is asked for."""
    for result in results_of(batch):
        with open_file(batch.owner_id, result[PART]) as part:
            yield part


def _parts(batch: Batch) -> QuerySet[StoredFile]:
    return StoredFile.objects.filter(batch=batch, is_result=False, name=PART)


def _forget_parts(batch: Batch) -> None:
    discard_files(batch.owner_id, list(_parts(batch).values_list("public_id", flat=True)))
