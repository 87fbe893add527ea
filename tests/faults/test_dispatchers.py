"""Dispatchers: any number, one works, another takes over; and everything at once is stopped and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from django.db import connection

from batches.dispatching.leader import LOCK_KEY
from batches.models import Batch, Item, Lease
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    Campaign,
    assert_ended_well,
    kill,
    statuses,
    under_load,
    wait_until,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

PHOTOS = 4_000
MESSAGES = 60
TAKE_OVER_SECONDS = 10.0
DEPOSED_SECONDS = 60.0
DEPOSED = "was silent for too long"


def leader_of(engine: Engine) -> subprocess.Popen[bytes] | None:
    """The process whose session holds the dispatchers' lock, found by the port it calls from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT client_port FROM pg_stat_activity JOIN pg_locks USING (pid)"
            " WHERE locktype = 'advisory' AND objid = %s AND granted",
            [LOCK_KEY],
        )
        ports = {row[0] for row in cursor.fetchall()}
    for process in engine.processes:
        sockets = psutil.Process(process.pid).net_connections(kind="tcp")
        if ports & {one.laddr.port for one in sockets if one.laddr}:
            return process
    return None


def newest_lease() -> int:
    """The highest lease id there is; only a dispatcher makes a higher one."""
    newest = Lease.objects.order_by("-id").first()
    return newest.pk if newest else 0


@dataclass(frozen=True, slots=True)
class Led:
    """Two dispatchers, one of which leads, and a campaign under way."""

    engine: Engine
    campaign: Campaign
    leader: subprocess.Popen[bytes]

    def wait_for_successor(self, seconds: float) -> float:
        """Until another dispatcher has leased something; returns the seconds that took."""
        known = newest_lease()
        return wait_until(lambda: newest_lease() > known, "leases of the other dispatcher", self.engine, seconds)

    def assert_another_leads(self) -> None:
        successor = leader_of(self.engine)
        assert successor is not None
        assert successor is not self.leader

    def assert_nothing_was_lost_or_doubled(self) -> None:
        assert_ended_well(self.campaign, self.engine)
        assert statuses(self.campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
        assert len(self.campaign.calls("openai-gpt-5")) == PHOTOS


@pytest.fixture
def led(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Led]:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="200") as engine:
        engine.start(workers=2, dispatchers=2)
        campaign = under_load(sandbox, engine, photos=PHOTOS, messages=MESSAGES)
        leader = leader_of(engine)
        assert leader is not None
        yield Led(engine, campaign, leader)


def test_the_leader_is_killed_and_another_dispatcher_takes_over(led: Led, measure: Measure) -> None:
    kill(led.engine, led.leader)
    seconds = led.wait_for_successor(TAKE_OVER_SECONDS)
    measure("seconds from the kill until the other dispatcher's first lease", seconds)
    led.assert_another_leads()

    wait_until_settled(led.campaign, led.engine)
    led.assert_nothing_was_lost_or_doubled()


def test_a_frozen_leader_is_deposed_and_does_no_harm_when_it_wakes(led: Led, measure: Measure) -> None:
    assert DEPOSED not in led.engine.output()  # not while it works
    led.leader.send_signal(signal.SIGSTOP)
    try:
        measure("seconds until the other dispatcher's first lease", led.wait_for_successor(DEPOSED_SECONDS))
    finally:
        led.leader.send_signal(signal.SIGCONT)
    wait_until_settled(led.campaign, led.engine)

    led.assert_another_leads()
    assert led.leader.poll() is None  # it stands by again
    assert led.engine.output().count(DEPOSED) == 1
    led.assert_nothing_was_lost_or_doubled()


def test_everything_is_stopped_in_order_and_started_again(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    campaign = under_load(sandbox, engine)

    began = time.monotonic()
    for process in engine.processes:
        process.terminate()
    engine.stop(*engine.processes)
    measure("seconds until everything had ended", time.monotonic() - began)
    answered = len([entry for entry in campaign.calls("openai-gpt-5") if entry["status"] == 200])
    assert statuses(campaign.photos)[ItemStatus.SUCCEEDED] == answered
    assert not Lease.objects.exclude(worker="").exists()
    assert not Item.objects.filter(started_at__isnull=False, finished_at__isnull=True).exists()
    # The photos may all have been in flight and answered; of the messages some still wait for their slots.
    assert not Batch.objects.filter(pk=campaign.messages.pk, settled_at__isnull=False).exists()

    engine.start(workers=2)
    wait_until_settled(campaign, engine)

    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: campaign.messages.total}
    assert len(campaign.calls("openai-gpt-5")) == campaign.photos.total
