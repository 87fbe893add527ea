"""A worker that sleeps past its lease, and one whose clock is wrong."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from batches.models import Item, Lease, Worker
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults import gate
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_ended_well,
    assert_every_photo_succeeded,
    assert_no_message_sent_twice,
    start_campaign,
    statuses,
    under_load,
    wait_until,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.gate import Gate
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

WATCHED_SECONDS = 6.0
CLOCK_ERROR_SECONDS = 600

WRONG_CLOCK = f"""
import datetime, time
true_time, true_time_ns, true_datetime = time.time, time.time_ns, datetime.datetime
time.time = lambda: true_time() + {CLOCK_ERROR_SECONDS}
time.time_ns = lambda: true_time_ns() + {CLOCK_ERROR_SECONDS} * 10**9
class WrongDatetime(true_datetime):
    @classmethod
    def now(cls, tz=None):
        return true_datetime.now(tz) + datetime.timedelta(seconds={CLOCK_ERROR_SECONDS})
    @classmethod
    def utcnow(cls):
        return true_datetime.utcnow() + datetime.timedelta(seconds={CLOCK_ERROR_SECONDS})
datetime.datetime = WrongDatetime
"""


def test_a_worker_that_slept_past_its_leases_starts_nothing_more(
    sandbox: SandboxServer, tmp_path: Path, settings: Any, measure: Measure
) -> None:
    settings.BATCH_TIMEOUT_MS = 120_000  # or the answers that wait for the sleeper are too late for their calls as well
    # A small worker has leases with items that wait for a free place.
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="100") as engine:
        engine.start(workers=2)
        campaign = under_load(sandbox, engine)
        sleeper = engine.processes[1]
        wait_until(lambda: starting_message(sleeper.pid), "the sleeper sends a message", engine, pause=0.01)

        sleeper.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        held = set(leases_of(sleeper.pid))
        assert held
        wait_until(lambda: not Lease.objects.filter(pk__in=held).exists(), "its leases rescued", engine, 40)
        measure("seconds until the sleeper's leases were rescued", time.monotonic() - stopped)
        wait_until_settled(campaign, engine)
        doubtful = set(campaign.messages.items.filter(status=ItemStatus.UNKNOWN).values_list("id", "attempt_id"))
        called = len(sandbox.log())
        sleeper.send_signal(signal.SIGCONT)
        time.sleep(WATCHED_SECONDS)  # a call that it starts would be seen by the sandbox

        assert len(sandbox.log()) == called
        # A late success of the very attempt that was in doubt is the truth; nothing else changes.
        measure("messages in doubt while it slept", len(doubtful))
        late = Item.objects.filter(pk__in=[item for item, _ in doubtful])
        assert set(late.values_list("id", "attempt_id")) == doubtful
        accepted = Counter(entry["reference"] for entry in campaign.calls("twilio") if entry["accepted"])
        for item in late:
            assert item.status == (ItemStatus.SUCCEEDED if accepted[str(item.attempt_id)] else ItemStatus.UNKNOWN)
        assert set(campaign.photos.items.values_list("attempts", flat=True)) == {1}
        assert_ended_well(campaign, engine)
        # And it is of use again.
        again = under_load(sandbox, engine, photos=1_000, messages=8)
        wait_until_settled(again, engine)
        assert_every_photo_succeeded(again)
        assert_counters_equal_rows(again.messages)


def test_a_worker_that_sleeps_within_a_transaction_does_not_stop_the_others(
    sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="100") as engine:
        engine.start(workers=2)
        sandbox.configure(latency_ms=100)
        with Gate(engine.environment["DATABASE_URL"], gate.COUNT) as closed:
            campaign = start_campaign(sandbox, photos=1_000, messages=8)
            wait_until(closed.waiting, "a recorder within its transaction", engine, 30)
            port = closed.client_port()
            sleeper = next(one for one in engine.processes if port in local_ports(one.pid))
            sleeper.send_signal(signal.SIGSTOP)
            slept = time.monotonic()
        try:
            # Its statement goes on, and leaves the batch's row locked for nobody.
            wait_until_settled(campaign, engine, 120)
            measure("seconds until the others had ended both batches", time.monotonic() - slept)
        finally:
            sleeper.send_signal(signal.SIGCONT)
        assert_ended_well(campaign, engine)


def local_ports(process_id: int) -> set[int]:
    """The ports this process calls from."""
    return {each.laddr.port for each in psutil.Process(process_id).net_connections(kind="tcp") if each.laddr}


def leases_of(process_id: int) -> list[int]:
    """The leases of the worker with this process id."""
    boot_ids = Worker.objects.filter(process_id=process_id).values("boot_id")
    return list(Lease.objects.filter(worker__in=boot_ids).values_list("id", flat=True))


def starting_message(process_id: int) -> bool:
    """Whether this worker has committed the start of a message and not its end."""
    return Item.objects.filter(
        lease_id__in=leases_of(process_id), provider_reference="", started_at__isnull=False
    ).exists()


def test_a_worker_whose_clock_is_ten_minutes_off_does_no_harm(sandbox: SandboxServer, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WRONG_CLOCK)
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME) as engine:
        engine.start(workers=1)
        usual = engine.environment
        engine.environment = {**usual, "PYTHONPATH": str(site)}
        wrong = engine.start_worker()
        engine.environment = usual
        engine.wait_until_seen(wrong)
        sandbox.configure(error_rates={"500": 0.1, "429": 0.1})
        campaign = under_load(sandbox, engine)
        wait_until(lambda: leases_of(wrong.pid), "it has work", engine)
        sandbox.configure(error_rates={})
        wait_until_settled(campaign, engine)

        # Retries were due by the database's clock: none ten minutes late, and none was given up.
        assert_every_photo_succeeded(campaign)
        accepted = Counter(entry["to"] for entry in campaign.calls("twilio") if entry["accepted"])
        assert set(accepted.values()) == {1}
        outcomes = statuses(campaign.messages)
        assert set(outcomes) <= {ItemStatus.SUCCEEDED, ItemStatus.UNKNOWN}
        assert outcomes[ItemStatus.SUCCEEDED] == len(accepted)
        assert_no_message_sent_twice(campaign)
        assert "600" not in {str(round(age)) for age in ages(campaign.photos.pk)}


def ages(batch_id: int) -> list[float]:
    """Seconds from the first attempt of each item until its end, by the ledger."""
    items = Item.objects.filter(batch_id=batch_id)
    return [(item.finished_at - item.first_attempt_at).total_seconds() for item in items]  # type: ignore[operator]
