"""The whole story of one item: what was asked, what happened when, what it cost, what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batches.live.frames import PHOTO_OPERATION
from batches.models import Batch, Item, ItemError
from batches.pages.presentation import ItemRow, item_row
from batches.states import FINAL_ITEM_STATUSES, ItemStatus
from batches.text_messages.masking import masked
from batches.visibility import error_visible_to, errors_visible_to, sees_every_error

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

SIMULATED = "simulated:"
LONGEST_DOCUMENT = 100_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``kind`` colours it; ``until``: when it ends, of what is still to come."""

    at: datetime
    words: str
    kind: str = ""
    detail: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What an item's page shows."""

    row: ItemRow
    events: list[Event]
    errors: list[ItemError]
    error: str
    request: str
    result: str
    used: list[tuple[str, int]]
    simulated: bool
    tags: list[str]
    description: str
    source: str
    key: str
    timings: list[tuple[str, float]]


def story(batch: Batch, item: Item, user: AbstractBaseUser | AnonymousUser) -> Story:
    """As this user may see it: errors that a retry may still heal are not everybody's to see."""
    errors = list(errors_visible_to(user, batch).filter(item=item).order_by("first_at", "id"))
    visible = bool(item.error_code) and error_visible_to(user, batch, item)
    result = item.result if isinstance(item.result, dict) else {}
    used = item.used if isinstance(item.used, dict) else {}
    is_photo = batch.operation == PHOTO_OPERATION
    return Story(
        row=item_row(batch, item, user),
        events=sorted(_events(batch, item, errors, user), key=lambda event: event.at),
        errors=errors,
        error=item.error_message if visible else "",
        request=_document(_asked(batch, item)),
        result=_document(item.result) if item.result is not None else "",
        used=sorted((unit.removeprefix(SIMULATED).replace("_", " "), number) for unit, number in used.items()),
        simulated=any(unit.startswith(SIMULATED) for unit in used),
        tags=[str(tag) for tag in result.get("tags") or []] if is_photo else [],
        description=str(result.get("description") or "") if is_photo else "",
        source=str(item.input.get("url") or "") if is_photo else "",
        key=masked(item.key) if "to" in item.input else item.key,
        timings=list(_timings(batch, item)),
    )


def _events(batch: Batch, item: Item, errors: list[ItemError], user: AbstractBaseUser | AnonymousUser) -> list[Event]:
    events = [Event(batch.created_at, "The batch was submitted")]
    if item.first_attempt_at is not None:
        events.append(Event(item.first_attempt_at, "First call"))
    for error in errors:
        who = error.provider if error.provider not in error.message else ""
        times = f"{error.count:,} times" if error.count > 1 else ""
        events.append(Event(error.first_at, error.message, "failed", ", ".join(filter(None, [who, times])), error.code))
        if error.count > 1:
            events.append(Event(error.last_at, "The same again, for the last time so far", "failed", "", error.code))
    if item.started_at is not None and item.status == ItemStatus.RUNNING:
        events.append(Event(item.started_at, "The call left", "running"))
    if item.finished_at is not None:
        ended_at = max([item.finished_at, *(error.last_at for error in errors)])  # these are written a moment later
        words = {
            ItemStatus.SUCCEEDED: "Succeeded",
            ItemStatus.FAILED: "Failed for good",
            ItemStatus.UNKNOWN: "Nobody knows whether it was done: the call may have left, and no answer came",
            ItemStatus.CANCELLED: "Cancelled",
        }.get(ItemStatus(item.status), item.status)
        events.append(Event(ended_at, words, item.status, item.provider))
    elif item.attempts and item.status == ItemStatus.PENDING and sees_every_error(user, batch):
        events.append(Event(item.due_at, "Next try", "pending"))
    if item.delivered_at is not None and item.delivery:
        events.append(Event(item.delivered_at, f"The message is {item.delivery}", _delivery_kind(item.delivery)))
    return events


def _timings(batch: Batch, item: Item) -> Iterator[tuple[str, float]]:
    """How long it waited, was tried, and the deciding call took, in milliseconds."""
    if item.first_attempt_at is not None:
        begun = max(batch.started_at or batch.created_at, batch.created_at)
        yield "Waited for its first call", max(0.0, _milliseconds(begun, item.first_attempt_at))
        if item.finished_at is not None and item.attempts > 1:
            yield "Tried for", _milliseconds(item.first_attempt_at, item.finished_at)
    if item.duration_ms is not None:
        yield "Last call took", item.duration_ms


def _milliseconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() * 1_000


def _delivery_kind(delivery: str) -> str:
    return {"delivered": "succeeded", "undelivered": "failed"}.get(delivery, "")


def _asked(batch: Batch, item: Item) -> Any:
    """The item's own part of the request, and the batch's; of a phone number only the end."""
    asked = dict(item.input)
    if "to" in asked:
        asked["to"] = masked(str(asked["to"]))
    return {"input": asked, "parameters": batch.parameters}


def _document(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= LONGEST_DOCUMENT else f"{text[:LONGEST_DOCUMENT]}\n…"


def waits(item: Item) -> bool:
    """Whether its story goes on by itself."""
    return item.status not in FINAL_ITEM_STATUSES
