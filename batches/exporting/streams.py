"""Rows as the bytes of a file. CSV and JSON lines leave while they are read; a sheet of XLSX is made first."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from channels.db import database_sync_to_async  # type: ignore[import-untyped]
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from batches.exporting.rows import Rows
from batches.problems import InvalidInput, Problem
from batches.tables.cells import neutral
from batches.tables.isolation import write_xlsx
from batches.tables.rows import UnreadableTable
from batches.tables.writing import MEDIA_TYPES, compact, write_rows

FORMATS = ("csv", "xlsx", "jsonl")
MOST_XLSX_ROWS = 250_000
"""A sheet is made before its first byte leaves: more would keep people waiting for minutes."""
PIECE_BYTES = 256 * 1024


def pieces(rows: Rows, form: str) -> Iterator[bytes]:
    """The file, piece by piece. Raises :class:`InvalidInput` for more rows than a sheet may have."""
    if form == "csv":
        return _csv(rows)
    return _jsonl(rows) if form == "jsonl" else _xlsx(rows)


def _csv(rows: Rows) -> Iterator[bytes]:
    columns = rows.columns()
    header = io.StringIO()
    csv.writer(header).writerow([neutral(column) for column in columns])
    yield header.getvalue().encode()
    for page in rows.pages():
        text = io.BytesIO()
        write_rows(text, page, form="csv", columns=columns)
        yield text.getvalue()


def _jsonl(rows: Rows) -> Iterator[bytes]:
    for page in rows.pages():
        yield b"".join(compact(rows.document(row)).encode() + b"\n" for row in page)


def _xlsx(rows: Rows) -> Iterator[bytes]:
    """Made at once, so that what is refused is refused before anything was sent."""
    folder = tempfile.TemporaryDirectory()
    try:
        source, output = Path(folder.name) / "rows", Path(folder.name) / "sheet.xlsx"
        _spool(rows, source)
        write_xlsx(source, output, rows.columns())
    except BaseException as reason:
        folder.cleanup()
        if isinstance(reason, UnreadableTable):
            raise InvalidInput([Problem("format", str(reason), reason.code)]) from None
        raise
    return _read(output, folder)


def _spool(rows: Rows, source: Path) -> None:
    count = 0
    with source.open("wb") as lines:
        for page in rows.pages():
            count += len(page)
            if count > MOST_XLSX_ROWS:
                message = (
                    f"A sheet of more than {MOST_XLSX_ROWS:,} rows is not made: take csv or jsonl, or fewer items."
                )
                raise InvalidInput([Problem("format", message, "too_many")])
            lines.writelines(compact(row).encode() + b"\n" for row in page)


def _read(path: Path, folder: tempfile.TemporaryDirectory[str]) -> Iterator[bytes]:
    with folder, path.open("rb") as sheet:
        while piece := sheet.read(PIECE_BYTES):
            yield piece


class Later:
    """Pieces for an asynchronous server: given an ordinary iterator, Django reads all of it before it sends a byte."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Each is made by a thread of its own, which gives its connection back after it."""
        take = database_sync_to_async(lambda: next(self._source, None), thread_sensitive=False)
        while (piece := await take()) is not None:
            yield piece


def file_response(request: HttpRequest, rows: Rows, form: str) -> StreamingHttpResponse:
    """The file as a download that no browser runs. Raises as :func:`pieces`."""
    source = pieces(rows, form)
    response = StreamingHttpResponse(Later(source) if isinstance(request, ASGIRequest) else source)
    response["Content-Type"] = MEDIA_TYPES[form] + ("; charset=utf-8" if form == "csv" else "")
    response["Content-Disposition"] = content_disposition_header(True, file_name(rows, form)) or "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def file_name(rows: Rows, form: str) -> str:
    """The batch's name and what of it, as every file system takes it."""
    title = rows.batch.name or rows.batch.subject or rows.batch.public_id
    kept = "".join(character if character.isalnum() or character in " -_." else " " for character in title)
    return f"{' '.join(kept.split())[:100].strip('. ') or rows.batch.public_id} {rows.what}.{form}"
