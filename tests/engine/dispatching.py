"""What a dispatcher in the process of the tests sees and does."""

from __future__ import annotations

import secrets
from typing import Any

from kombu.exceptions import OperationalError as BrokerError

from batches.models import Batch, Item, Worker


class Messages:
    """What was sent as Celery messages; or nothing can be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.broken = False
        self.tries = 0

    def send_task(self, name: str, *, args: list[int], queue: str, **options: Any) -> None:
        self.tries += 1
        if self.broken:
            raise BrokerError("Redis is gone")
        self.sent.append((args[0], queue))


def worker(**capacity: int) -> None:
    """A worker that was just seen, with so many calls in flight at most by channel."""
    Worker.objects.create(
        boot_id=secrets.token_hex(8), hostname="here", process_id=1, capacity={"ai": 0, "sms": 0, "data": 0} | capacity
    )


def leased(batch: Batch) -> int:
    return Item.objects.filter(batch=batch, status="running").count()
