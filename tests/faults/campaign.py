"""What the fault tests share: a photo batch and an SMS campaign under way, and the account of what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count

from batches.models import Batch, Item, Lease
from batches.options import BatchOptions, NewBatch, NewItem
from batches.services import submit_batch
from batches.states import FINAL_ITEM_STATUSES, ItemStatus
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

SETTLE_SECONDS = 90.0


@dataclass
class Campaign:
    """One batch of each kind, submitted and not awaited."""

    photos: Batch
    messages: Batch
    sandbox: SandboxServer

    def calls(self, provider: str) -> list[dict[str, Any]]:
        """What the witness saw of one provider."""
        return [entry for entry in self.sandbox.log() if entry["provider"] == provider]


def start_campaign(sandbox: SandboxServer, *, photos: int, messages: int, priority: str = "high") -> Campaign:
    """Submit photos by URL and text messages to fictional numbers."""
    owner = get_user_model().objects.get_or_create(username="alice")[0]
    return Campaign(
        photos=submit_batch(owner_id=owner.pk, new=photo_batch(photos)),
        messages=submit_batch(owner_id=owner.pk, new=message_batch(messages, priority)),
        sandbox=sandbox,
    )


def photo_batch(number: int) -> NewBatch:
    items = [
        NewItem(f"image-{i}", {"url": f"https://example.com/{i}.jpg", "filename": f"{i}.jpg"}) for i in range(number)
    ]
    return NewBatch(
        operation="rate_photos",
        provider="openai-gpt-5",
        items=items,
        parameters={"prompt": "Rate it.", "systemPrompt": "You rate photos."},
    )


def message_batch(number: int, priority: str = "high") -> NewBatch:
    items = [
        NewItem(f"recipient-{i}", {"to": f"+1202555{i:04d}", "variables": {"name": f"N{i}"}}) for i in range(number)
    ]
    return NewBatch(
        operation="sms",
        provider="twilio",
        items=items,
        parameters={"text": "Hello {{name}}"},
        options=BatchOptions(priority=priority),
    )


def wait_until(condition: Callable[[], object], what: str, engine: Engine, seconds: float = SETTLE_SECONDS) -> None:
    """Poll until it holds; on time-out fail with the processes' own words."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{engine.output()}"
        time.sleep(0.1)


def wait_until_settled(campaign: Campaign, engine: Engine) -> None:
    """Both batches are closed and no lease is left."""
    ids = [campaign.photos.pk, campaign.messages.pk]
    wait_until(
        lambda: Batch.objects.filter(pk__in=ids, settled_at__isnull=False).count() == 2, "both batches settled", engine
    )
    wait_until(lambda: not Lease.objects.exists(), "every lease ended", engine, 30)
    campaign.photos.refresh_from_db()
    campaign.messages.refresh_from_db()


def statuses(batch: Batch) -> Counter[str]:
    """Items by status, counted from their rows."""
    rows = Item.objects.filter(batch=batch).order_by().values_list("status").annotate(Count("id"))
    return Counter(dict(rows))


def assert_counters_equal_rows(batch: Batch) -> None:
    batch.refresh_from_db()
    counted = statuses(batch)
    kept = {status: getattr(batch, status) for status in sorted(FINAL_ITEM_STATUSES)}
    assert kept == {status: counted[status] for status in kept}
    assert sum(counted.values()) == batch.total


def assert_every_photo_succeeded(campaign: Campaign) -> None:
    assert statuses(campaign.photos) == {ItemStatus.SUCCEEDED: campaign.photos.total}
    assert campaign.photos.status == "completed"
    assert_counters_equal_rows(campaign.photos)


def assert_no_message_sent_twice(campaign: Campaign) -> None:
    """Nobody's message was accepted twice; one that succeeded was accepted; only unknown ones may be in doubt."""
    accepted = Counter(entry["to"] for entry in campaign.calls("twilio") if entry["accepted"])
    assert not [to for to, number in accepted.items() if number > 1]
    items = Item.objects.filter(batch=campaign.messages)
    for item in items:
        assert item.status in {ItemStatus.SUCCEEDED, ItemStatus.UNKNOWN}, (item, item.error_code)
        if item.status == ItemStatus.SUCCEEDED:
            assert accepted[item.input["to"]] == 1
    assert_counters_equal_rows(campaign.messages)
