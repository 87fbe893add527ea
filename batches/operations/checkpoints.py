"""What an item has done already, kept between its attempts, so that each attempt makes one call.

An item that takes several calls (a long document, part by part) makes one of them per attempt, keeps its answer here
and returns a Snooze: so every call has a permit of its own, obeys pause and cancel, and is paid for once although a
worker dies between two of them. The files belong to the batch and go with it.
"""

from __future__ import annotations

from typing import Any

import orjson
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from batches.files import file_content, stored_path
from batches.models import Batch, Item, StoredFile

PREFIX = "checkpoint-"


class Checkpoints:
    """Those of one item. No connection is held after a method has returned."""

    def __init__(self, item_id: int) -> None:
        self._item_id = item_id

    def read(self, name: str) -> Any | None:
        """The JSON value kept under this name, or None."""
        try:
            found = StoredFile.objects.filter(
                batch__items__id=self._item_id, is_result=False, name=self._name(name)
            ).order_by("-id")
            row = found.values_list("owner_id", "public_id").first()
        finally:
            give_back_connection()
        return None if row is None else orjson.loads(file_content(*row))

    def write(self, name: str, value: Any) -> None:
        """Keep it, in place of what was kept under this name."""
        content = orjson.dumps(value)
        try:
            batch_id, owner_id = batch_of_item(self._item_id)
            row = StoredFile(
                owner_id=owner_id,
                name=self._name(name),
                media_type="application/json",
                size=len(content),
                content=ContentFile(content, name="checkpoint"),
                for_batch=True,
                batch_id=batch_id,
            )
            row.save(force_insert=True)
            _remove(StoredFile.objects.filter(batch_id=batch_id, name=row.name, is_result=False, id__lt=row.pk))
        finally:
            give_back_connection()

    def _name(self, name: str) -> str:
        return f"{PREFIX}{self._item_id}-{name}"


def batch_of_item(item_id: int) -> tuple[int, int]:
    """Ids of an item's batch and of its owner."""
    found: tuple[int, int] = Item.objects.values_list("batch_id", "batch__owner_id").get(pk=item_id)
    return found


def forget_checkpoints(batch: Batch) -> None:
    """Remove what the items of a batch that is done with kept."""
    _remove(StoredFile.objects.filter(batch=batch, is_result=False, name__startswith=PREFIX))


def give_back_connection() -> None:
    """A worker holds no connection while it calls somebody."""
    if not connection.in_atomic_block:
        connection.close()


def _remove(files: Any) -> None:
    paths = [stored_path(*row) for row in files.values_list("owner_id", "public_id")]
    files.delete()
    for path in paths:
        default_storage.delete(path)
