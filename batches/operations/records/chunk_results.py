"""What is made of the results of all chunks of a batch when the last of them is done: sums, and a file of rows."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.files.base import File
from django.db import connection

from batches.models import Batch, Item, StoredFile
from batches.result_files import store_result
from batches.tables.cells import neutral

CSV_TYPE = "text/csv"
PAGE_ITEMS = 100
KEPT_IN_MEMORY = 1024 * 1024


def totals(batch: Batch, names: Sequence[str]) -> dict[str, int]:
    """The sums of these numbers over the results of all items, added up by Postgres."""
    sums = ", ".join("COALESCE(SUM((result ->> %s)::bigint), 0)" for _ in names)
    statement = f"SELECT {sums} FROM batches_item WHERE batch_id = %s AND status = 'succeeded'"  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(statement, [*names, batch.pk])
        row = cursor.fetchone()
    return {name: int(value) for name, value in zip(names, row, strict=True)}


def results_of(batch: Batch) -> Iterator[Mapping[str, Any]]:
    """The results of the succeeded items, in order, a page in memory at a time."""
    last = -1
    while True:
        items = Item.objects.filter(batch=batch, position__gt=last).order_by("position")
        page = list(items.values_list("position", "status", "result")[:PAGE_ITEMS])
        if not page:
            return
        yield from (result for _, status, result in page if status == "succeeded" and result)
        last = page[-1][0]


def store_csv(batch: Batch, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StoredFile:
    """Keep rows as a CSV file of the batch (UTF-8, RFC 4180, no cell a formula); on disk while it grows."""
    with tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY) as spooled:
        text = io.TextIOWrapper(spooled, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(header)
        for row in rows:
            writer.writerow([neutral(value) if isinstance(value, str) else value for value in row])
        text.flush()
        text.detach()
        return store_result(batch, name, CSV_TYPE, File(spooled, name=name))
