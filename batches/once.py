"""A change of our own database that an item makes exactly once, whatever dies and however often the item runs.

The change and its receipt, kept in the item's own row, are committed together. Whoever runs the item again finds the
receipt and hands back what it says. Two that run it at the same time both make the change, and only one of them can
write the receipt: the other's change is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson
from django.db import connection, transaction

RECEIPT = "receipt"
"""Its name in the item's ``input``, which nothing but this module writes after the item was stored."""


class NotOurs(Exception):
    """The item is final or gone: whatever it was to change stays as it is."""


def once(item_id: int, change: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Make the change in a transaction and return what it returned, a small JSON object; the first time that is.

    Raises :class:`NotOurs` when the item was cancelled, deleted or given up meanwhile; then nothing was changed.
    """
    receipt = _receipt(item_id)
    if receipt is not None:
        return receipt
    try:
        with transaction.atomic():
            receipt = change()
            _write_receipt(item_id, receipt)
    except NotOurs:
        receipt = _receipt(item_id)
        if receipt is None:
            raise
    return receipt


def _receipt(item_id: int) -> Mapping[str, Any] | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT input ->> %s FROM batches_item WHERE id = %s", [RECEIPT, item_id])
        row = cursor.fetchone()
    return None if row is None or row[0] is None else cast(Mapping[str, Any], orjson.loads(row[0]))


# The last statement before the commit: the dispatcher, which may want the row as well, never waits for the change.
_WRITE_RECEIPT = """
    UPDATE batches_item SET input = input || jsonb_build_object(%s::text, %s::jsonb)
     WHERE id = %s AND status IN ('pending', 'running') AND NOT input ? %s
"""


def _write_receipt(item_id: int, receipt: Mapping[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_RECEIPT, [RECEIPT, orjson.dumps(receipt).decode(), item_id, RECEIPT])
        if cursor.rowcount != 1:
            raise NotOurs
