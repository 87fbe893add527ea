"""Delivery receipts: kept first, then applied to their item, once it is there.

A receipt may come before the answer to its own message is committed, again, or out of order. So it is stored under what
makes it itself, and applying it twice changes nothing: a final delivery is never left. One that names the attempt of an
item in doubt settles it, as a late answer would.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from batches.models import DeliveryReceipt
from batches.progress import BatchFacts
from batches.provider_accounts.accounts import known_provider
from batches.running.record_statements import DAY_SECONDS, add_to_histograms
from batches.states import Delivery
from batches.text_messages.doubts import Evidence, settle
from providers.sms.adapter import SmsAdapter
from providers.sms.callbacks import Receipt

FINAL = frozenset({Delivery.DELIVERED, Delivery.UNDELIVERED})
MATCHED_AT_ONCE = 500
YOUNG_SECONDS = 600
"""So long an open receipt is looked at every few seconds, and afterwards every few minutes."""
KEPT_DAYS = 3
"""Applied or not: no provider repeats itself for longer."""


def sms_provider(alias: str) -> SmsAdapter | None:
    """The provider of this name, if it sends messages and tells what became of them."""
    provider = known_provider(alias)
    return provider if isinstance(provider, SmsAdapter) else None


def receive(alias: str, receipt: Receipt) -> list[BatchFacts]:
    """Keep a genuine receipt, and apply it where its item is there; one that is known already changes nothing."""
    stored = DeliveryReceipt(
        provider=alias,
        provider_reference=receipt.provider_reference,
        reference=receipt.reference,
        status=receipt.status,
        error_code=receipt.error_code,
    )
    DeliveryReceipt.objects.bulk_create([stored], ignore_conflicts=True)
    mine = DeliveryReceipt.objects.filter(
        provider=alias, provider_reference=receipt.provider_reference, status=receipt.status, applied_at=None
    )
    return apply(list(mine))


_MATCHING = """
    SELECT receipt.* FROM batches_deliveryreceipt AS receipt
     WHERE receipt.applied_at IS NULL AND receipt.received_at > now() - %s::interval
       AND (EXISTS (SELECT FROM batches_item AS item
                     WHERE item.provider_reference = receipt.provider_reference AND item.provider_reference <> '')
            OR EXISTS (SELECT FROM batches_item AS item
                        WHERE item.attempt_id = NULLIF(receipt.reference, '')::uuid AND item.status = 'unknown'))
     ORDER BY receipt.received_at LIMIT %s
"""


def match_open(*, younger_than_seconds: float = YOUNG_SECONDS) -> list[BatchFacts]:
    """Apply the receipts whose items were not there when they came; returns the facts of batches that changed."""
    age = timedelta(seconds=younger_than_seconds)
    return apply(list(DeliveryReceipt.objects.raw(_MATCHING, [age, MATCHED_AT_ONCE])))


def match_all_open() -> list[BatchFacts]:
    """The same, for all that are kept: of an item that was not recorded for long."""
    return match_open(younger_than_seconds=KEPT_DAYS * DAY_SECONDS)


def sweep_old() -> int:
    """Forget receipts that are of no use any more; returns how many."""
    swept, _ = DeliveryReceipt.objects.filter(received_at__lt=Now() - timedelta(days=KEPT_DAYS)).delete()
    return swept


def apply(receipts: Sequence[DeliveryReceipt]) -> list[BatchFacts]:
    """Settle what was in doubt, then note the deliveries; a receipt without an item stays open.

    In two transactions: both lock items before anything else. What dies between them is done by the next match.
    """
    if not receipts:
        return []
    facts = settle(
        Evidence(receipt.provider, uuid.UUID(receipt.reference), receipt.provider_reference, receipt.status)
        for receipt in receipts
        if receipt.reference
    )
    with transaction.atomic(), connection.cursor() as cursor:
        told = _told(cursor, receipts)
        moved = _moved(told)
        _write_items(cursor, moved)
        _write_errors(cursor, moved)
        _count(cursor, moved)
        ids = [one.receipt.pk for one in told]
        DeliveryReceipt.objects.filter(pk__in=ids, applied_at=None).update(applied_at=Now())
    return facts


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt and the item it is about, as that stands. ``delivery``: None where the receipt says nothing of it."""

    receipt: DeliveryReceipt
    item_id: int
    batch_id: int
    before: str
    delivery: str | None


_FIND_ITEMS = """
    SELECT told.id, item.id, item.batch_id, item.delivery
      FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS told (id, provider, provider_reference)
      JOIN batches_item AS item
        ON item.provider_reference = told.provider_reference AND item.provider_reference <> ''
      JOIN batches_batch AS batch ON batch.id = item.batch_id
     WHERE COALESCE(NULLIF(item.provider, ''), batch.provider) = told.provider
     ORDER BY item.id, told.id FOR UPDATE OF item
"""


def _told(cursor: CursorWrapper, receipts: Sequence[DeliveryReceipt]) -> list[Told]:
    """The receipts whose items are there, these locked, in the order of the items and then of their arrival."""
    by_id = {receipt.pk: receipt for receipt in receipts}
    columns: list[list[Any]] = [
        list(by_id),
        [one.provider for one in by_id.values()],
        [one.provider_reference for one in by_id.values()],
    ]
    cursor.execute(_FIND_ITEMS, columns)
    told = []
    for receipt_id, item_id, batch_id, before in cursor.fetchall():
        receipt = by_id[receipt_id]
        provider = sms_provider(receipt.provider)
        if provider is not None:  # or nobody can read it: its entry was taken out of the settings
            delivery = provider.deliveries.get(receipt.status)
            told.append(Told(receipt, item_id, batch_id, before, str(delivery) if delivery else None))
    return told


def is_later(delivery: str | None, before: str) -> bool:
    """Whether a delivery follows on what was known. A final one is never left, whatever comes after it."""
    return delivery is not None and before not in FINAL and delivery != before


def _moved(told: Sequence[Told]) -> list[Told]:
    """Per item the receipt that decides where it stands; none where it changes nothing."""
    decided: dict[int, Told] = {}
    for one in told:
        before = decided[one.item_id].delivery if one.item_id in decided else one.before
        if is_later(one.delivery, before or ""):
            decided[one.item_id] = one
    return list(decided.values())


_WRITE_ITEMS = """
    UPDATE batches_item AS item
       SET delivery = told.delivery, delivered_at = told.at,
           error_category = told.category, error_code = told.code, error_message = told.message
      FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[])
        AS told (id, delivery, at, category, code, message)
     WHERE item.id = told.id
"""


def _write_items(cursor: CursorWrapper, moved: Sequence[Told]) -> None:
    rows: list[tuple[Any, ...]] = [
        (one.item_id, one.delivery, one.receipt.received_at, *fault_of(one)) for one in moved
    ]
    if rows:
        cursor.execute(_WRITE_ITEMS, [list(column) for column in zip(*rows, strict=True)])


def fault_of(one: Told) -> tuple[str, str, str]:
    """Category, code and message of what kept it from arriving; empty where nothing did."""
    provider = sms_provider(one.receipt.provider)
    if one.delivery != Delivery.UNDELIVERED or provider is None:
        return "", "", ""
    fault = provider.delivery_fault(one.receipt.error_code)
    message = f"It was not delivered: {fault.words}{'; it may be another time' if fault.passing else ''}."
    return str(fault.category), one.receipt.error_code or one.receipt.status, message


_WRITE_ERRORS = """
    INSERT INTO batches_itemerror (item_id, batch_id, provider, category, code, message, count, first_at, last_at)
    SELECT item_id, batch_id, provider, category, code, message, 1, at, at
      FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS fault (item_id, batch_id, at, provider, category, code, message)
    ON CONFLICT (item_id, code) DO UPDATE
       SET count = batches_itemerror.count + 1, last_at = EXCLUDED.last_at, message = EXCLUDED.message,
           provider = EXCLUDED.provider
"""


def _write_errors(cursor: CursorWrapper, moved: Sequence[Told]) -> None:
    rows: list[tuple[Any, ...]] = [
        (one.item_id, one.batch_id, one.receipt.received_at, one.receipt.provider, *fault_of(one))
        for one in moved
        if one.delivery == Delivery.UNDELIVERED
    ]
    if rows:
        cursor.execute(_WRITE_ERRORS, [list(column) for column in zip(*rows, strict=True)])


def _count(cursor: CursorWrapper, moved: Sequence[Told]) -> None:
    """What became final is counted for the batch, by day: analytics read no item rows."""
    day = int(time.time()) // DAY_SECONDS
    counted = Counter((one.batch_id, f"delivery:{one.delivery}", day) for one in moved if one.delivery in FINAL)
    add_to_histograms(cursor, counted)
