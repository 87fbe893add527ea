"""Dispatchers: any number, one works, another takes over; and everything at once is stopped and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from django.db import connection

from batches.dispatching.leader import LOCK_KEY
from batches.models import Batch, Item, Lease
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
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


def test_the_leader_is_killed_and_another_dispatcher_takes_over(
    sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="200") as engine:
        engine.start(workers=2, dispatchers=2)
        campaign = under_load(sandbox, engine, photos=PHOTOS, messages=MESSAGES)
        leader = leader_of(engine)
        assert leader is not None

        kill(engine, leader)
        killed = time.monotonic()
        known = newest_lease()
        wait_until(lambda: newest_lease() > known, "leases of the other dispatcher", engine, TAKE_OVER_SECONDS)
        measure("seconds from the kill until the other dispatcher's first lease", time.monotonic() - killed)
        successor = leader_of(engine)
        assert successor is not None
        assert successor is not leader
        wait_until_settled(campaign, engine)

        assert_ended_well(campaign, engine)
        assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
        assert len(campaign.calls("openai-gpt-5")) == PHOTOS


def test_a_frozen_leader_is_deposed_and_does_no_harm_when_it_wakes(
    sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="200") as engine:
        engine.start(workers=2, dispatchers=2)
        campaign = under_load(sandbox, engine, photos=PHOTOS, messages=MESSAGES)
        leader = leader_of(engine)
        assert leader is not None

        assert DEPOSED not in engine.output()  # not while it works
        leader.send_signal(signal.SIGSTOP)
        frozen, known = time.monotonic(), newest_lease()
        try:
            wait_until(lambda: newest_lease() > known, "leases of the other dispatcher", engine, DEPOSED_SECONDS)
            measure("seconds until the other dispatcher's first lease", time.monotonic() - frozen)
        finally:
            leader.send_signal(signal.SIGCONT)
        wait_until_settled(campaign, engine)

        successor = leader_of(engine)
        assert successor is not None
        assert successor is not leader
        assert leader.poll() is None  # it stands by again
        assert engine.output().count(DEPOSED) == 1
        assert_ended_well(campaign, engine)
        assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
        assert len(campaign.calls("openai-gpt-5")) == PHOTOS


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
