"""What the pages show of a batch and its items: plain values, so that templates decide nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Max
from django.utils.text import capfirst

from batches.live.eta import seconds_left
from batches.live.frames import PHOTO_OPERATION, percentage
from batches.models import Batch, Item
from batches.money.budgets import BUDGET
from batches.provider_accounts.accounts import known_provider
from batches.states import FINAL_BATCH_STATUSES, BatchStatus, ItemStatus
from batches.templatetags.humane import spelled
from batches.text_messages.masking import masked
from batches.visibility import ENDED_BADLY, error_visible_to

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

FAILED_ITEMS_GROUPED = 5_000
MOST_STARS = 5
SUMMARY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Part:
    """A coloured stretch of a bar, in per cent of its length."""

    name: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Card:
    """A batch at a glance. ``simulated``: what it costs nobody pays, as far as its provider is set up now.

    ``note``: what its status does not say by itself.
    """

    batch: Batch
    title: str
    percent: int
    waiting: int
    average_rate: float | None
    seconds: int | None
    eta: int | None
    parts: list[Part]
    failed_all: int
    simulated: bool
    note: str


def card(batch: Batch, now: datetime) -> Card:
    """A batch at a glance, at this moment."""
    seconds = batch.seconds_running(now)
    waiting = batch.total - batch.finished
    rate = batch.finished / seconds if seconds >= 1 and batch.finished else None
    return Card(
        batch=batch,
        title=title(batch),
        percent=percentage(batch.finished, batch.total, batch.status),
        waiting=waiting,
        average_rate=rate,
        seconds=round(seconds) if batch.started_at else None,
        eta=seconds_left(waiting, rate) if batch.status == BatchStatus.RUNNING else None,
        parts=bar(batch),
        failed_all=batch.failed + batch.unknown,
        simulated=_uses_sandbox(batch.provider),
        note=_note(batch, now),
    )


def _note(batch: Batch, now: datetime) -> str:
    if batch.status == BatchStatus.PENDING and not batch.auto_start:
        return "not started"
    if batch.status == BatchStatus.PENDING and batch.scheduled_at is not None and batch.scheduled_at > now:
        return "scheduled"
    return f"{batch.held_for} spent" if batch.held_for == BUDGET and batch.status == BatchStatus.PAUSED else ""


def _uses_sandbox(alias: str) -> bool:
    provider = known_provider(alias) if alias else None
    return provider is not None and provider.uses_sandbox


def title(batch: Batch) -> str:
    """What a batch is called: by its owner, or by what it does."""
    return batch.name or batch.subject or capfirst(spelled(batch.operation))


def bar(batch: Batch) -> list[Part]:
    """The batch's counters as stretches of one bar; a batch with nothing to do is done when it is final."""
    if not batch.total:
        return [Part("succeeded", 0, 100 if batch.is_final else 0)]
    parts, start = [], 0.0
    for name in ("succeeded", "failed", "unknown", "cancelled"):
        width = 100 * getattr(batch, name) / batch.total
        parts.append(Part(name, round(start, 3), round(width, 3)))
        start += width
    return parts


@dataclass(frozen=True, slots=True)
class Verb:
    """A button: what the batch's status allows now."""

    name: str
    label: str
    question: str = ""


def verbs(batch: Batch) -> list[Verb]:
    """The buttons of a batch. The services decide; this only spares people a refusal."""
    status = batch.status
    offered = []
    if status == BatchStatus.PENDING:
        offered.append(Verb("start", "Start now"))
    if status == BatchStatus.RUNNING:
        offered.append(Verb("pause", "Pause"))
    if status == BatchStatus.PAUSED:
        offered.append(Verb("resume", "Resume"))
    if batch.failed and status not in {BatchStatus.CANCELLED, BatchStatus.PENDING}:
        offered.append(Verb("retry", "Retry failed"))
    if not batch.is_final:
        offered.append(Verb("cancel", "Cancel", "Cancel this batch? Items that have not started will not run."))
    return offered


def can_retry(batch: Batch) -> bool:
    """Whether failed items of it may run again."""
    return batch.status not in {BatchStatus.CANCELLED, BatchStatus.PENDING}


def can_change(batch: Batch) -> bool:
    """Whether something of it is still to run, at another pace."""
    return batch.status not in FINAL_BATCH_STATUSES


def error_groups(batch: Batch) -> list[dict[str, Any]]:
    """How the items that ended badly ended: counts by category and code, most frequent first, each with an example.

    Only these are the owner's to see while others are still being retried. At most 5,000 items are grouped, so that
    the page of a huge failed batch opens as quickly as any other.
    """
    if not batch.failed and not batch.unknown:
        return []
    ended_badly = batch.items.filter(status__in=sorted(ENDED_BADLY)).order_by().values("pk")[:FAILED_ITEMS_GROUPED]
    groups = Item.objects.filter(pk__in=ended_badly).order_by().values("error_category", "error_code")
    counted = groups.annotate(count=Count("pk"), example=Max("error_message"))
    counted = counted.order_by("-count", "error_category", "error_code")
    return [dict(group) for group in counted]


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item in the list. ``photo``: whether we have it ourselves; ``cost`` is an amount or None."""

    position: int
    number: int
    label: str
    status: str
    attempts: int
    retriable: bool = False
    photo: bool = False
    tile: bool = False
    stars: str = ""
    star_count: int = 0
    color: str = ""
    summary: str = ""
    error: str = ""
    error_code: str = ""
    delivery: str = ""
    due_at: datetime | None = None
    duration_ms: int | None = None
    cost: Any = None


def item_row(batch: Batch, item: Item, user: AbstractBaseUser | AnonymousUser) -> ItemRow:
    """An item as this user may see it."""
    result = item.result if isinstance(item.result, dict) else {}
    shown: dict[str, Any]
    if batch.operation == PHOTO_OPERATION:
        shown = {"tile": True, "photo": "fileId" in item.input, **_rating(result)}
    elif "to" in item.input:
        shown = {"summary": "" if item.delivery else str(result.get("status", ""))}
    else:
        shown = {"summary": json.dumps(result, ensure_ascii=False)[:SUMMARY_LENGTH] if result else ""}
    if item.error_code and error_visible_to(user, batch, item):
        shown |= {"error": item.error_message, "error_code": item.error_code}
        if item.status == ItemStatus.PENDING:
            shown["due_at"] = item.due_at
    return ItemRow(
        position=item.position,
        number=item.position + 1,
        label=label(batch, item),
        status=item.status,
        attempts=item.attempts,
        retriable=item.status == ItemStatus.FAILED and can_retry(batch),
        delivery=item.delivery,
        duration_ms=item.duration_ms,
        cost=item.cost,
        **shown,
    )


def label(batch: Batch, item: Item) -> str:
    """What an item is called; of a phone number only its end is shown."""
    if batch.operation == PHOTO_OPERATION:
        return str(item.input.get("filename") or item.key)
    return masked(str(item.input["to"])) if "to" in item.input else item.key


def _rating(result: dict[str, Any]) -> dict[str, Any]:
    stars = result.get("starRating")
    if not isinstance(stars, int):
        return {}
    stars = min(max(stars, 0), MOST_STARS)
    return {
        "stars": "★" * stars + "☆" * (MOST_STARS - stars),
        "star_count": stars,
        "color": str(result.get("colorLabel") or "none"),
        "summary": str(result.get("title") or ""),
    }
