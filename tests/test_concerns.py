"""What the dispatcher reports: workers that take nothing, lanes that wait too long; and where it can be read."""

from __future__ import annotations

import logging
import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from batches.dispatching.concerns import (
    LANE_BEHIND,
    LANE_STANDS,
    WORKER_IDLE,
    Concern,
    Concerns,
    current_concerns,
    idle_workers,
    waiting_lanes,
)
from batches.dispatching.window import read_window
from batches.models import Batch, Item, Lease, ProviderAccount, Worker
from batches.options import BatchOptions
from batches.services import submit_batch
from tests.faults.campaign import message_batch, photo_batch

pytestmark = pytest.mark.django_db


def new_worker(
    boot_id: str = "worker-1", *, role: str = "worker", seen_seconds_ago: float = -300, **figures: Any
) -> None:
    """A worker with room that has accepted nothing for a minute, unless said otherwise; seen, however slow the test."""
    figures = {"has_room": True, "idle_seconds": 60, **figures}
    capacity = {"leader": 1} if role == "dispatcher" else {"ai": 10}
    Worker.objects.create(
        boot_id=boot_id, role=role, hostname=socket.gethostname(), process_id=7, capacity=capacity, figures=figures
    )
    Worker.objects.filter(pk=boot_id).update(seen_at=Now() - timedelta(seconds=seen_seconds_ago))


def waiting_lease(lane: str = "ai.normal", *, seconds: float = 10, worker: str = "") -> None:
    lease = Lease.objects.create(
        batch_id=1, lane=lane, channel="ai", size=1, remaining=1, worker=worker, expires_at=Now() + timedelta(seconds=9)
    )
    Lease.objects.filter(pk=lease.pk).update(created_at=Now() - timedelta(seconds=seconds))


def test_a_worker_that_beats_and_accepts_nothing_while_leases_wait_is_named() -> None:
    new_worker()
    waiting_lease()
    assert idle_workers() == [Concern(kind=WORKER_IDLE, lane="ai.normal", seconds=60, subject="worker-1")]


@pytest.mark.parametrize(
    ("figures", "lease"),
    [
        ({"has_room": False}, {}),
        ({"idle_seconds": 20}, {}),
        ({"seen_seconds_ago": 11}, {}),
        ({"lanes": ["sms.high"]}, {}),
        ({}, {"seconds": 5}),
        ({}, {"worker": "worker-2"}),
        ({}, {"lane": "solo"}),
    ],
    ids=["full", "just accepted", "silent", "does not hear the lane", "young lease", "accepted lease", "solo"],
)
def test_a_worker_is_not_named_for_what_is_not_its_fault(figures: dict[str, Any], lease: dict[str, Any]) -> None:
    new_worker(**figures)
    waiting_lease(**lease)
    assert idle_workers() == []


def waiting_batch(*, sms: bool = False, seconds: float = 90, **options: Any) -> Batch:
    """A running batch whose items have been due for so long."""
    owner = get_user_model().objects.get_or_create(username="alice")[0]
    new = message_batch(3, **options) if sms else photo_batch(3, options=BatchOptions(**options))
    batch = submit_batch(owner_id=owner.pk, new=new)
    Item.objects.filter(batch=batch).update(due_at=Now() - timedelta(seconds=seconds))
    return batch


def concerns(**served_seconds_ago: float) -> dict[str, str]:
    """Kinds by lane, when batches of these names (``batch_<pk>``) were served so long ago."""
    now = time.monotonic()
    served = {int(name.removeprefix("batch_")): now - seconds for name, seconds in served_seconds_ago.items()}
    return {each.lane: each.kind for each in waiting_lanes(read_window(), served, now)}


def test_a_lane_whose_oldest_item_waits_is_reported_with_whether_it_is_served() -> None:
    batch = waiting_batch()
    (concern,) = waiting_lanes(read_window(), {}, time.monotonic())
    assert (concern.lane, concern.kind, concern.subject) == ("ai.normal", LANE_STANDS, batch.public_id)
    assert 89 <= concern.seconds <= 95
    assert concerns(**{f"batch_{batch.pk}": 5.0}) == {"ai.normal": LANE_BEHIND}
    assert concerns(**{f"batch_{batch.pk}": 70.0}) == {"ai.normal": LANE_STANDS}


def test_young_paused_and_closed_ones_are_not_reported(settings: Any) -> None:
    waiting_batch(seconds=50)
    assert concerns() == {}
    settings.LANE_WAIT_SECONDS = 40.0
    assert concerns() == {"ai.normal": LANE_STANDS}
    Batch.objects.update(status="paused")
    assert concerns() == {}
    Batch.objects.update(status="running")
    ProviderAccount.objects.create(alias="openai-gpt-5", closed_until=Now() + timedelta(seconds=30))
    assert concerns() == {}


def test_what_waits_for_its_own_limit_is_not_reported_as_long_as_the_limit_lets_somebody_pass() -> None:
    first, second = waiting_batch(sms=True), waiting_batch(sms=True)
    assert concerns() == {"sms.high": LANE_STANDS}
    assert concerns(**{f"batch_{first.pk}": 70.0, f"batch_{second.pk}": 5.0}) == {}


def test_a_batch_that_wants_few_under_way_is_not_reported_while_it_has_them() -> None:
    batch = waiting_batch(concurrency=2)
    assert concerns() == {"ai.normal": LANE_STANDS}
    assert concerns(**{f"batch_{batch.pk}": 5.0}) == {}
    Lease.objects.create(batch=batch, lane="ai.normal", channel="ai", size=2, remaining=2, expires_at=Now())
    assert concerns() == {}


def test_a_concern_is_logged_once_a_minute_and_read_by_others(
    caplog: pytest.LogCaptureFixture, admin_client: Client
) -> None:
    new_worker("dispatcher-1", role="dispatcher")
    new_worker()
    found = [Concern(kind=WORKER_IDLE, lane="ai.normal", seconds=60, subject="worker-1")]
    telling = Concerns()
    with caplog.at_level(logging.WARNING):
        for now in (100.0, 110.0, 150.0, 161.0):
            telling.tell("dispatcher-1", found, now)
    assert [record.message for record in caplog.records] == [found[0].words] * 2
    assert current_concerns() == found
    assert found[0].words in admin_client.get(reverse("admin:batches_worker_changelist")).content.decode()
    with pytest.raises(CommandError, match="accepted nothing"):
        call_command("check_process", "worker")

    telling.tell("dispatcher-1", [], 170.0)
    assert current_concerns() == []


@pytest.mark.django_db(transaction=True)
def test_readyz_warns_and_stays_ready(client: Client) -> None:
    new_worker("dispatcher-1", role="dispatcher")
    new_worker()
    Concerns().tell("dispatcher-1", [Concern(kind=LANE_STANDS, lane="sms.low", seconds=70, subject="batch_1")], 0.0)
    answer = client.get("/readyz")
    warning = {"kind": LANE_STANDS, "lane": "sms.low", "seconds": 70}
    assert (answer.status_code, answer.json()["warnings"]) == (200, [warning])


def test_a_process_of_this_machine_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="No worker"):
        call_command("check_process", "worker")
    new_worker()
    call_command("check_process", "worker")
    call_command("check_process", "worker", "--process-id", "7")
    assert capsys.readouterr().out == "ok\nok\n"
    with pytest.raises(CommandError, match="No worker"):
        call_command("check_process", "worker", "--process-id", "8")
    Worker.objects.update(seen_at=Now() - timedelta(seconds=11))
    with pytest.raises(CommandError, match="No worker"):
        call_command("check_process", "worker")
