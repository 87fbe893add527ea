"""Rows as the documents show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from batches.economy.standing import standing
from batches.models import Batch, Item, ItemError, ProviderAccount, StoredFile
from batches.money.costs import Cost, charge
from batches.running.record_statements import SIMULATED
from batches.states import ECONOMY, BatchStatus, ItemStatus
from batches.text_messages.masking import masked
from providers.prices import (
    ECONOMY_INPUT_TOKENS,
    ECONOMY_OUTPUT_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    SEGMENTS,
    common_currency,
)

SPELLED = {BatchStatus.RUNNING.value: "processing"}
"""How documents 001 and 002 spell a batch's status, where storage has another word."""


def instant(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, as the documents show it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spelled_status(batch: Batch) -> str:
    """The status in the words of documents 001 and 002."""
    return SPELLED.get(batch.status, batch.status)


def percentage(batch: Batch) -> int:
    """Document 004's progress; 100 only when every item is final."""
    return int(100 * batch.progress) if batch.total == 0 else 100 * batch.finished // batch.total


def success_rate(batch: Batch) -> float:
    """The share of successes among the items that were tried to the end."""
    tried = batch.succeeded + batch.failed + batch.unknown
    return batch.succeeded / tried if tried else 0.0


def items_per_second(batch: Batch) -> float:
    """Items tried to the end per second since the start."""
    seconds = batch.seconds_running(timezone.now())
    tried = batch.succeeded + batch.failed + batch.unknown
    return round(tried / seconds, 3) if seconds > 0 else 0.0


def batch_shape(batch: Batch) -> dict[str, Any]:
    """Document 004's ``batch``. What has not happened yet, or was not given, is left out, as the document does."""
    shape = {
        "id": batch.public_id,
        "operation": batch.operation,
        "status": batch.status,
        "progress": percentage(batch),
        "created_at": instant(batch.created_at),
        "started_at": instant(batch.started_at),
        "completed_at": instant(batch.completed_at),
        "total_items": batch.total,
        "processed_items": batch.finished,
        "failed_items": batch.failed + batch.unknown,
        "name": batch.name or None,
        "description": batch.description or None,
        "error": batch.error or None,
        "outcome": batch.outcome,
        "finishing": batch.is_finishing or None,
        "spent": money(batch.spent) if batch.spent else None,
        "max_cost": None if batch.max_cost is None else money(batch.max_cost),
        "held_for": batch.held_for or None,
    }
    return {name: value for name, value in shape.items() if value is not None}


def unavailable_shape(batch: Batch) -> dict[str, Any] | None:
    """Why the batch's provider takes no calls, since when, and when it is tried again; None where it does."""
    if batch.is_final or not batch.provider:
        return None
    account = ProviderAccount.objects.filter(pk=batch.provider, opened_at__isnull=False).first()
    if account is None or account.opened_at is None:
        return None
    return {
        "provider": account.alias,
        "reason": account.opened_for,
        "since": instant(account.opened_at),
        "nextTryAt": instant(account.probe_at),
        "message": f"provider unavailable: {account.opened_for} since {instant(account.opened_at)}",
        "whenUnavailable": batch.when_unavailable,
    }


def economy_shape(batch: Batch) -> dict[str, Any]:
    """Where an economy batch stands at its provider; empty for a fast one."""
    if batch.mode != ECONOMY:
        return {}
    found = standing(batch)
    return {
        "economy": {
            "atProvider": found.at_provider,
            "since": instant(found.since),
            "answeredThere": found.answered_there,
            "preparing": found.preparing,
            "problem": found.problem,
            "retryAt": instant(found.retry_at),
            "retries": batch.economy_retries,
            "deadline": instant(batch.deadline_at),
            "fastSince": instant(batch.fast_since),
        }
    }


def counts_shape(batch: Batch) -> dict[str, int]:
    """Document 002's counters. ``failed`` includes ``unknown``, which is shown beside it as what it is."""
    return {
        "total": batch.total,
        "pending": batch.total - batch.finished,
        "completed": batch.succeeded,
        "failed": batch.failed + batch.unknown,
        "cancelled": batch.cancelled,
        "unknown": batch.unknown,
    }


def sms_shape(batch: Batch) -> dict[str, Any]:
    """Document 002's status."""
    return {
        "status": spelled_status(batch),
        "progress": counts_shape(batch),
        "metrics": {"messagesPerSecond": items_per_second(batch), "successRate": success_rate(batch)},
    }


def photo_status_shape(batch: Batch) -> dict[str, Any]:
    """Document 001's status."""
    return {
        "jobId": batch.public_id,
        "shootId": batch.subject,
        "status": spelled_status(batch),
        "totalImages": batch.total,
        "processedImages": batch.finished,
        "succeededImages": batch.succeeded,
        "failedImages": batch.failed + batch.unknown,
        "cancelledImages": batch.cancelled,
        "progress": batch.progress,
        "mode": batch.mode,
        "spent": money(batch.spent),
        "maxCost": None if batch.max_cost is None else money(batch.max_cost),
        "heldFor": batch.held_for or None,
        "unavailable": unavailable_shape(batch),
        "createdAt": instant(batch.created_at),
        "startedAt": instant(batch.started_at),
        "completedAt": instant(batch.completed_at),
        **economy_shape(batch),
    }


def photo_result_shape(item: Item) -> dict[str, Any]:
    """One of document 001's results; the image's own tags and metadata come back beside the model's."""
    rating = item.result or {}
    return {
        "imageId": item.key,
        "filename": item.input.get("filename"),
        "starRating": rating.get("starRating"),
        "colorLabel": rating.get("colorLabel"),
        "title": rating.get("title"),
        "description": rating.get("description"),
        "tags": rating.get("tags"),
        "inputTags": item.input.get("tags", []),
        "metadata": item.input.get("metadata", {}),
        **billed_shape(item),
    }


def item_shape(item: Item, *, with_error: bool) -> dict[str, Any]:
    """An item of any operation."""
    error = {"category": item.error_category, "code": item.error_code, "message": item.error_message}
    shape = {
        "id": item.key,
        "position": item.position,
        "status": item.status,
        "attempts": item.attempts,
        "result": item.result,
        "error": error if with_error and item.error_code else None,
        "durationMs": item.duration_ms,
        "dueAt": instant(item.due_at),
        "finishedAt": instant(item.finished_at),
        **billed_shape(item),
    }
    if item.delivery:
        shape |= {"delivery": item.delivery, "deliveredAt": instant(item.delivered_at)}
    return shape | {name: item.input[name] for name in ("to", "filename") if name in item.input}


def result_shape(item: Item) -> dict[str, Any]:
    """One of document 004's results, of an item that was tried to the end; what it has not is left out."""
    shape = {
        "nodeId": item.key,
        "success": item.status == ItemStatus.SUCCEEDED,
        "result": item.result,
        "error": item.error_message or None,
        "errorCategory": item.error_category or None,
        "errorCode": item.error_code or None,
        "retries": max(0, item.attempts - 1),
        "durationMs": item.duration_ms,
        "qualityScore": item.quality,
        "delivery": item.delivery or None,
        "createdAt": instant(item.finished_at),
        **billed_shape(item),
    }
    return {name: value for name, value in shape.items() if value is not None}


def billed_shape(item: Item) -> dict[str, Any]:
    """Who was called last for an item, what all its calls used, and what that cost; null where nothing is known."""
    used: Mapping[str, int] = item.used or {}
    units = Counter({unit.removeprefix(SIMULATED): 0 for unit in used})
    for unit, number in used.items():
        units[unit.removeprefix(SIMULATED)] += number
    return {
        "provider": item.provider or None,
        "tokens": tokens_shape(units) if units.keys() - {SEGMENTS} else None,
        "segments": units.get(SEGMENTS),
        "cost": None
        if item.cost is None
        else {
            "amount": money(item.cost),
            "charge": money(charge(item.cost)),
            "currency": common_currency(),
            "simulated": any(unit.startswith(SIMULATED) for unit in used),
        },
    }


def tokens_shape(units: Counter[str]) -> dict[str, int]:
    """Tokens in and out, of fast and of economy calls together."""
    return {
        "input": units[INPUT_TOKENS] + units[ECONOMY_INPUT_TOKENS],
        "output": units[OUTPUT_TOKENS] + units[ECONOMY_OUTPUT_TOKENS],
    }


def money(amount: Decimal) -> str:
    """An amount as text, so that no client rounds it: six decimals, and more where there are more."""
    whole, _, parts = f"{amount:.10f}".partition(".")
    return f"{whole}.{parts.rstrip('0'):0<6}"


def cost_shape(cost: Cost) -> dict[str, Any]:
    """``simulatedAmount``: what the sandbox's calls would have cost. ``charge``: what is asked for ``amount``."""
    return {
        "amount": money(cost.amount),
        "simulatedAmount": money(cost.simulated),
        "charge": money(charge(cost.amount)),
        "currency": cost.currency,
        "pricesAsOf": cost.as_of.isoformat() if cost.as_of else None,
    }


def file_shape(stored: StoredFile) -> dict[str, Any]:
    """What a client learns of a file."""
    return {
        "fileId": stored.public_id,
        "name": stored.name,
        "mediaType": stored.media_type,
        "size": stored.size,
        "url": f"/api/files/{stored.public_id}",
    }


def error_shape(error: ItemError) -> dict[str, Any]:
    """What went wrong with an item, how often, and when."""
    return {
        "itemId": masked(error.item.key) if "to" in error.item.input else error.item.key,
        "position": error.item.position,
        "itemStatus": error.item.status,
        "attempts": error.item.attempts,
        "provider": error.provider,
        "category": error.category,
        "code": error.code,
        "message": error.message,
        "count": error.count,
        "firstAt": instant(error.first_at),
        "lastAt": instant(error.last_at),
    }
