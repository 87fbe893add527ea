"""What the pages show of a batch and its items: plain values, so that templates decide nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Count

from batches.live.frames import PHOTO_OPERATION, percentage
from batches.masking import masked
from batches.models import Batch, Item
from batches.states import BatchStatus
from batches.visibility import ENDED_BADLY, error_visible_to

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

FAILED_ITEMS_GROUPED = 5_000
MOST_STARS = 5


@dataclass(frozen=True, slots=True)
class Card:
    """A batch at a glance."""

    batch: Batch
    title: str
    percent: int
    waiting: int
    average_rate: float | None
    seconds: int | None


def card(batch: Batch, now: datetime) -> Card:
    """A batch at a glance, at this moment."""
    seconds = batch.seconds_running(now)
    return Card(
        batch=batch,
        title=batch.name or batch.subject or batch.operation,
        percent=percentage(batch.finished, batch.total, batch.status),
        waiting=batch.total - batch.finished,
        average_rate=batch.finished / seconds if seconds >= 1 and batch.finished else None,
        seconds=round(seconds) if batch.started_at else None,
    )


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


def error_groups(batch: Batch) -> list[dict[str, Any]]:
    """How the items that ended badly ended: counts by category and code, most frequent first.

    Only these are the owner's to see while others are still being retried. At most 5,000 items are grouped, so that
    the page of a huge failed batch opens as quickly as any other.
    """
    if not batch.failed and not batch.unknown:
        return []
    ended_badly = batch.items.filter(status__in=sorted(ENDED_BADLY)).order_by().values("pk")[:FAILED_ITEMS_GROUPED]
    groups = Item.objects.filter(pk__in=ended_badly).order_by().values("error_category", "error_code")
    counted = groups.annotate(count=Count("pk")).order_by("-count", "error_category", "error_code")
    return [dict(group) for group in counted]


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item in the list."""

    position: int
    label: str
    status: str
    attempts: int
    stars: str = ""
    star_count: int = 0
    color: str = ""
    summary: str = ""
    error: str = ""
    error_code: str = ""


def item_row(batch: Batch, item: Item, user: AbstractBaseUser | AnonymousUser) -> ItemRow:
    """An item as this user may see it."""
    result = item.result if isinstance(item.result, dict) else {}
    shown: dict[str, Any]
    if batch.operation == PHOTO_OPERATION:
        shown = {"label": str(item.input.get("filename") or item.key), **_rating(result)}
    elif "to" in item.input:
        shown = {"label": masked(str(item.input["to"])), "summary": str(result.get("status", ""))}
    else:
        shown = {"label": item.key, "summary": json.dumps(result, ensure_ascii=False)[:200] if result else ""}
    if item.error_code and error_visible_to(user, batch, item):
        shown |= {"error": item.error_message, "error_code": item.error_code}
    return ItemRow(position=item.position + 1, status=item.status, attempts=item.attempts, **shown)


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
