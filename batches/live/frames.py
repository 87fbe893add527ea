"""The JSON that a socket receives: document 001's SHOOT_PROGRESS and document 004's batch events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from batches.live.board import Sight
from batches.states import FINAL_BATCH_STATUSES, BatchStatus

PHOTO_OPERATION = "rate_photos"
CREATED, PROGRESS, COMPLETED = "batch:created", "batch:progress", "batch:completed"

Frame = dict[str, Any]


@dataclass(slots=True)
class News:
    """What is new of one batch. ``shoot``: document 001's data of a photo batch.

    Each frame is encoded once, however many sockets it goes to: that was half of what hundreds of watchers cost.
    """

    pk: int
    owner_id: int
    created: bool
    data: Frame
    shoot: Frame | None
    _texts: dict[tuple[bool, bool], list[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, sight: Sight, *, created: bool) -> News:
        """Of a batch as it is seen now."""
        facts = sight.facts
        return cls(facts.pk, facts.owner_id, created, batch_data(sight), shoot_data(sight))

    def texts(self, *, created: bool, last_status: str | None) -> list[str]:
        """The frames for a socket that was told ``last_status`` before, as JSON."""
        key = created, last_status == self.data["status"]
        texts = self._texts.get(key)
        if texts is None:
            messages = frames(self.data, self.shoot, created=created, last_status=last_status)
            texts = self._texts[key] = [json.dumps(message, separators=(",", ":")) for message in messages]
        return texts


def batch_data(sight: Sight) -> Frame:
    """What every batch event says; ``progress`` is a percentage that reaches 100 with the last item and not before."""
    facts = sight.facts
    return {
        "batchId": facts.id,
        "id": facts.id,
        "operation": facts.operation,
        "name": facts.name,
        "status": facts.status,
        "progress": percentage(facts.finished, facts.total, facts.status),
        "total": facts.total,
        "succeeded": facts.succeeded,
        "failed": facts.failed,
        "cancelled": facts.cancelled,
        "unknown": facts.unknown,
        "notify": facts.notify,
        "itemsPerSecond": round(sight.rate, 2) if sight.rate is not None else None,
        "eta": sight.eta,
    }


def percentage(finished: int, total: int, status: str) -> int:
    """Whole per cent of the final items, rounded down; a batch with nothing to do is done when it is final."""
    if total == 0:
        return 100 if status in FINAL_BATCH_STATUSES else 0
    return finished * 100 // total


def shoot_data(sight: Sight) -> Frame | None:
    """Document 001's data of a photo batch, ``None`` for the others. It spells running as processing."""
    facts = sight.facts
    if facts.operation != PHOTO_OPERATION:
        return None
    return {
        "shootId": facts.subject,
        "status": "processing" if facts.status == BatchStatus.RUNNING else facts.status,
        "processedCount": facts.finished,
        "totalCount": facts.total,
        "provider": facts.provider,
        "eta": sight.eta,
    }


def frames(data: Frame, shoot: Frame | None, *, created: bool, last_status: str | None) -> list[Frame]:
    """The messages for one change of one batch. ``last_status``: what this socket was told before.

    ``batch:completed`` is said once per final status, however often the counts of a cancelled batch still move.
    """
    status = data["status"]
    messages = []
    if created:
        messages.append({"type": CREATED, "data": data})
    if status in FINAL_BATCH_STATUSES and status != last_status:
        messages.append({"type": COMPLETED, "data": data})
    elif not created:
        messages.append({"type": PROGRESS, "data": data})
    if shoot is not None:
        messages.append({"type": "SHOOT_PROGRESS", "data": shoot})
    return messages
