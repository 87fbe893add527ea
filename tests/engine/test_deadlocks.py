"""Everything at once on the same rows: no deadlock, no drift, nothing left behind."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import DatabaseError, connection

from batches import services
from batches.dispatching import claim, rescue, settle
from batches.dispatching.claim import Route
from batches.models import Batch, Item, Lease
from batches.problems import Conflict
from batches.running import leases
from batches.running.recorder import write
from tests.engine.ledger import assert_counters_are_exact, change, expire, new_batch

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 4.0


class Crowd:
    """Threads that do what workers, dispatchers and users do, each on a connection of its own."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.faults: list[str] = []
        self.done: dict[str, int] = {}
        self._end = time.monotonic() + SECONDS

    def run(self, *duties: Callable[[random.Random], None]) -> None:
        threads = [threading.Thread(target=self._repeat, args=[duty, seed]) for seed, duty in enumerate(duties)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"

    def _repeat(self, duty: Callable[[random.Random], None], seed: int) -> None:
        dice = random.Random(seed)
        name = duty.__name__
        try:
            while time.monotonic() < self._end:
                try:
                    duty(dice)
                    self.done[name] = self.done.get(name, 0) + 1
                except DatabaseError as error:
                    self.faults.append(f"{name}: {error}")
        finally:
            connection.close()

    def work(self, dice: random.Random) -> None:
        """A worker: accepts, renews and records; now and then it falls silent and records late."""
        batches = dice.sample(self.batches, 3)
        routes = {batch.pk: Route(batch.lane, batch.channel, batch.provider, 8) for batch in batches}
        claimed = claim.claim({batch.pk: 16 for batch in batches}, routes)
        held = [taken for lease_id, _ in claimed.leases if (taken := leases.accept(lease_id, "worker"))]
        if dice.random() < 0.3:
            expire(*(each.id for each in held))
        leases.renew("worker", [each.id for each in held if dice.random() < 0.5])
        kinds = ["succeeded", "failed", "pending", "unknown"]
        group = [change(each, item, dice.choice(kinds)) for each in held for item in each.items]
        dice.shuffle(group)
        middle = len(group) // 2
        for part in (group[:middle], group[middle:], group[: middle // 2]):  # the last one twice
            write(part)

    def die(self, dice: random.Random) -> None:
        expire(*Lease.objects.order_by("?").values_list("pk", flat=True)[:3])
        rescue.rescue()

    def keep(self, dice: random.Random) -> None:
        settle.settle()
        settle.sweep_cancelled()
        claim.release(list(Lease.objects.filter(worker="").values_list("pk", flat=True)[:2]))

    def retry(self, dice: random.Random) -> None:
        batch = Batch.objects.get(pk=dice.choice(self.batches).pk)
        with suppress(Conflict):
            services.retry_failed(batch, actor_id=None)

    def stop(self, dice: random.Random) -> None:
        time.sleep(SECONDS / 20)
        batch = Batch.objects.get(pk=dice.choice(self.batches).pk)
        with suppress(Conflict):
            (services.pause if dice.random() < 0.5 else services.resume)(batch, actor_id=None)
            if dice.random() < 0.1:
                services.cancel(batch, actor_id=None)


def test_everybody_at_once_neither_deadlocks_nor_drifts() -> None:
    batches = [new_batch(60) for _ in range(6)]
    crowd = Crowd(batches)
    crowd.run(crowd.work, crowd.work, crowd.work, crowd.die, crowd.keep, crowd.retry, crowd.stop)
    assert crowd.faults == []
    assert min(crowd.done.get(name, 0) for name in ("work", "die", "keep", "retry", "stop")) > 5
    assert_counters_are_exact(batches)
    expire(*Lease.objects.values_list("pk", flat=True))
    while rescue.rescue()[0]:
        pass
    assert not Item.objects.filter(status="running").exists()
    assert not Lease.objects.exists()
    assert_counters_are_exact(batches)
