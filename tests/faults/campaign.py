"""What the fault tests share: a photo batch and an SMS campaign under way, and the account of what became of them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import Error, connection
from django.db.models import Count

from batches.figures import Figures
from batches.models import Batch, Item, Lease, Worker, WorkerRole
from batches.options import BatchOptions, NewBatch, NewItem
from batches.services import submit_batch
from batches.states import FINAL_ITEM_STATUSES, ItemStatus
from batchsite.known_providers import SMS_PER_SECOND
from tests.engine_fixture import Engine
from tests.footprint import Footprint, footprint
from tests.sandbox_fixture import SandboxServer

SETTLE_SECONDS = 90.0
SESSIONS = 11
"""Most sessions one process has with Postgres: its pool (``DATABASE_POOL_SIZE``), and one to watch itself by."""
REDIS_CLIENTS = 40
"""Most connections one process has to Redis: its own pool of 32, and a few of Celery's."""
OTHER_FILES = 8
"""Other open files that may come with use: logs, pipes, the event loop's."""
QUIET_SECONDS = 15.0
"""Workers write their figures every five seconds."""


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
    owner_id = owner().pk
    return Campaign(
        photos=submit_batch(owner_id=owner_id, new=photo_batch(photos)),
        messages=submit_batch(owner_id=owner_id, new=message_batch(messages, priority)),
        sandbox=sandbox,
    )


def owner() -> Any:
    """Alice."""
    return get_user_model().objects.get_or_create(username="alice")[0]


def under_load(sandbox: SandboxServer, engine: Engine, *, photos: int = 3_000, messages: int = 40) -> Campaign:
    """Half a second of latency, both batches under way, calls of both in flight."""
    sandbox.configure(latency_ms=500)
    campaign = start_campaign(sandbox, photos=photos, messages=messages)
    wait_until(lambda: Item.objects.filter(batch=campaign.photos, status="succeeded").count() > 200, "load", engine)
    wait_until(lambda: len(campaign.calls("twilio")) > 4, "messages under way", engine)
    return campaign


def photo_batch(number: int, provider: str = "openai-gpt-5", options: BatchOptions | None = None) -> NewBatch:
    items = [
        NewItem(f"image-{i}", {"url": f"https://example.com/{i}.jpg", "filename": f"{i}.jpg"}) for i in range(number)
    ]
    return NewBatch(
        operation="rate_photos",
        provider=provider,
        items=items,
        parameters={"prompt": "Rate it.", "systemPrompt": "You rate photos."},
        options=options or BatchOptions(),
    )


def message_batch(number: int, priority: str = "high", **options: Any) -> NewBatch:
    items = [
        NewItem(f"recipient-{i}", {"to": f"+1202555{i:04d}", "variables": {"name": f"N{i}"}}) for i in range(number)
    ]
    return NewBatch(
        operation="sms",
        provider="twilio",
        items=items,
        parameters={"text": "Hello {{name}}"},
        options=BatchOptions(priority=priority, **options),
    )


def wait_until(
    condition: Callable[[], object], what: str, engine: Engine, seconds: float = SETTLE_SECONDS, pause: float = 0.1
) -> float:
    """Poll until it holds and return the seconds it took; on time-out fail with the processes' own words."""
    began = time.monotonic()
    while not holds(condition):
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}\n{engine.output()}"
        time.sleep(pause)
    return time.monotonic() - began


def holds(condition: Callable[[], object]) -> bool:
    """Whether it does; no while the database is away."""
    try:
        return bool(condition())
    except Error:
        connection.close()
        return False


def wait_until_settled(campaign: Campaign, engine: Engine, seconds: float = SETTLE_SECONDS) -> None:
    """Both batches are closed and no lease is left."""
    wait_until_closed([campaign.photos, campaign.messages], engine, seconds)


def wait_until_closed(batches: Sequence[Batch], engine: Engine, seconds: float = SETTLE_SECONDS) -> None:
    """These batches are settled and no lease is left."""
    ids = [batch.pk for batch in batches]
    wait_until(
        lambda: Batch.objects.filter(pk__in=ids, settled_at__isnull=False).count() == len(ids),
        "every batch settled",
        engine,
        seconds,
    )
    wait_until(lambda: not Lease.objects.exists(), "every lease ended", engine, 30)
    for batch in batches:
        batch.refresh_from_db()


def kill(engine: Engine, *processes: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and no mention of them any more."""
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()
        engine.processes.remove(process)


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
    assert_segments_equal_rows(campaign.messages)


def assert_segments_equal_rows(batch: Batch) -> None:
    """What was billed, counted beside the items, is what their results say: nothing twice, nothing lost."""
    billed = [item.result["segments"] for item in Item.objects.filter(batch=batch) if item.result]
    assert Figures.of(batch).used["segments"] == sum(billed)


WAKING_SECONDS = 0.1


def busiest_second(instants: Sequence[float]) -> int:
    """Most calls within any sliding second."""
    return max((sum(1 for other in instants if start <= other < start + 1.0) for start in instants), default=0)


def assert_the_limit_held(campaign: Campaign) -> None:
    """No sliding second of the sandbox's clock saw half as many messages again as the limit allows.

    A limit that was lost or counted twice shows; test_rates.py measures exactly, without thousands of photos beside.
    """
    limit = SMS_PER_SECOND[campaign.messages.priority]
    stalls = campaign.sandbox.stalls()
    instants = [entry["at"] for entry in campaign.calls("twilio")]
    assert busiest_second(seen_awake(instants, stalls)) <= 1.5 * limit, (busiest_second(instants), stalls)


def seen_awake(instants: Sequence[float], stalls: Sequence[tuple[float, float]]) -> list[float]:
    """A witness that stood still for want of a core cannot say when a call arrived: without those found on waking."""
    return [at for at in instants if not any(began <= at <= ended + WAKING_SECONDS for began, ended in stalls)]


def assert_ended_well(campaign: Campaign, engine: Engine) -> None:
    """What must hold after every fault: see docs/failures.md."""
    assert_every_photo_succeeded(campaign)
    assert_no_message_sent_twice(campaign)
    assert_the_limit_held(campaign)
    assert_nothing_leaked(engine)


def assert_nothing_leaked(engine: Engine) -> None:
    """No lease, no running item, no call or message under way, and no more connections than the pools may have."""
    assert not Lease.objects.exists()
    assert not Item.objects.filter(status=ItemStatus.RUNNING).exists()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE clock_timestamp() - xact_start > interval '5 seconds')"
            " FROM pg_stat_activity WHERE application_name = %s",
            [engine.environment["PROCESS_NAME"]],
        )
        sessions, open_transactions = cursor.fetchone()
    assert sessions <= SESSIONS * len(engine.processes)
    assert not open_transactions
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        clients = len(client.client_list())
    assert clients <= REDIS_CLIENTS * (len(engine.processes) + 1)
    wait_until(lambda: not busy_workers(engine), "no greenlet is left of calls or messages", engine, QUIET_SECONDS)
    wait_until(lambda: not grown(engine), f"no process holds more than it may: {grown(engine)}", engine, QUIET_SECONDS)


def busy_workers(engine: Engine) -> list[Any]:
    """Living workers that still hold calls, messages or outcomes, by what they tell themselves."""
    ids = [process.pid for process in engine.processes]
    workers = Worker.objects.filter(process_id__in=ids, role=WorkerRole.WORKER).values_list("figures", flat=True)
    return [each for each in workers if any(each.get(name) for name in ("in_flight", "messages", "unrecorded"))]


def grown(engine: Engine) -> list[tuple[Footprint, Footprint]]:
    """What processes held when they had started and what they hold now, where that is more than it may be.

    A process may have filled its pools, and keeps connections to a provider for half a minute; nothing else grows.
    Sockets of attempts to reach a frozen server go within seconds after it is back.
    """
    found = []
    for process in engine.processes:
        before, after = engine.footprints[process.pid], footprint(process.pid, engine.environment)
        within = (
            after.postgres <= SESSIONS
            and after.redis <= REDIS_CLIENTS
            and after.provider <= sum(settings.WORKER_CAPACITY.values())
            and after.others <= before.others + OTHER_FILES
        )
        if not within:
            found.append((before, after))
    return found
