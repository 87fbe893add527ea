"""The results of a batch as one file of JSON lines."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import orjson
from django.core.files.base import File

from batches.files import LINES_TYPE
from batches.models import Batch, Item
from batches.operations.checkpoints import give_back_connection
from batches.result_files import store_result
from batches.states import ItemStatus

PAGE = 1_000
NAME = "results.jsonl"


def items_in_pages(batch: Batch) -> Iterator[list[Item]]:
    """The items in their order, a thousand at a time; no connection is held between two pages."""
    last = -1
    while True:
        page = list(batch.items.filter(position__gt=last).order_by("position")[:PAGE])
        give_back_connection()
        if not page:
            return
        yield page
        last = page[-1].position


def keep_result_lines(batch: Batch) -> dict[str, Any]:
    """Keep a line per item: its id, status, and result or error. Returns the file's id and the counts."""
    succeeded = total = 0
    with tempfile.TemporaryFile() as lines:
        for page in items_in_pages(batch):
            total += len(page)
            succeeded += sum(item.status == ItemStatus.SUCCEEDED for item in page)
            lines.writelines(orjson.dumps(_line(item)) + b"\n" for item in page)
        stored = store_result(batch, NAME, LINES_TYPE, File(lines, name=NAME))
    return {"fileId": stored.public_id, "succeeded": succeeded, "total": total}


def _line(item: Item) -> dict[str, Any]:
    line: dict[str, Any] = {"id": item.key, "status": item.status}
    if item.result is not None:
        return {**line, "result": item.result}
    return {**line, "error": {"category": item.error_category, "code": item.error_code, "message": item.error_message}}
