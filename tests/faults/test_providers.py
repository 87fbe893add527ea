"""Providers that hang, close, storm and never recover."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from batches.backoff import TRANSIENT
from batches.models import Batch, ItemError, ProviderAccount
from batches.options import BatchOptions
from batches.services import submit_batch
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_nothing_leaked,
    message_batch,
    photo_batch,
    statuses,
    wait_until,
    wait_until_closed,
)
from tests.faults.conftest import Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

HANG_MS = 20_000
STORM = {"429": 0.06, "500": 0.06, "503": 0.04, "timeout": 0.04, "garbage": 0.05, "disconnect": 0.05}
WINDOW_SECONDS = 8
CLOSED_SECONDS = 60


def submit(new: Any) -> Batch:
    owner = get_user_model().objects.get_or_create(username="alice")[0]
    return submit_batch(owner_id=owner.pk, new=new)


def ages(batch: Batch) -> list[float]:
    """Seconds from the batch's start until each of its items was final, sorted."""
    batch.refresh_from_db()
    assert batch.started_at is not None
    ends = batch.items.filter(finished_at__isnull=False).values_list("finished_at", flat=True)
    return sorted((end - batch.started_at).total_seconds() for end in ends if end is not None)


def test_one_call_in_a_hundred_that_hangs_does_not_hold_up_the_others(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    options = BatchOptions(timeout_ms=HANG_MS)
    sandbox.configure(latency_ms=300)
    wait_until_closed([submit(photo_batch(500))], engine)  # warm
    usual = submit(photo_batch(3_000, options=options))
    wait_until_closed([usual], engine)
    sandbox.configure(error_rates={"timeout": 0.01})
    hanging = submit(photo_batch(3_000, options=options))
    wait_until(lambda: len(ages(hanging)) >= 0.95 * 3_000, "the others", engine, 30)
    sandbox.configure(error_rates={})
    wait_until_closed([hanging], engine)

    medians = [statistics.median(ages(batch)) for batch in (usual, hanging)]
    measure("median seconds without hanging calls", medians[0])
    measure("median seconds with one call in a hundred hanging for 20 s", medians[1])
    assert medians[1] < 1.5 * medians[0] + 1.0
    assert ages(hanging)[int(0.95 * 3_000)] < 1.5 * ages(usual)[-1] + 2.0
    assert ages(hanging)[-1] > HANG_MS / 1000
    assert statuses(hanging) == {ItemStatus.SUCCEEDED: 3_000}
    assert_counters_equal_rows(hanging)
    assert_nothing_leaked(engine)


def test_a_closed_account_does_not_hold_up_another_of_its_lane(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    sandbox.configure(requests_per_minute=1)  # one a minute: a 429 asks for up to sixty seconds
    closed = submit(photo_batch(200))
    wait_until(ProviderAccount.objects.filter(alias="openai-gpt-5").exists, "the account closed", engine)
    shut = time.time()
    sandbox.configure(requests_per_minute=None, latency_ms=300)
    time.sleep(2)  # calls that were under way when it was closed
    called = len(sandbox.log())

    unhurt = submit(photo_batch(2_000, provider="openai-gpt-6-luna"))
    wait_until_closed([unhurt], engine, 30)
    measure("seconds of 2,000 photos beside the closed account", ages(unhurt)[-1])
    assert statuses(unhurt) == {ItemStatus.SUCCEEDED: 2_000}
    assert len(sandbox.log()) == called + 2_000

    wait_until_closed([closed], engine, CLOSED_SECONDS + 60)
    first = min(entry["at"] for entry in sandbox.log()[called:] if entry["provider"] == "openai-gpt-5")
    measure("seconds until the closed account was called again", first - shut)
    assert first - shut > CLOSED_SECONDS - 10
    assert statuses(closed) == {ItemStatus.SUCCEEDED: 200}
    assert_counters_equal_rows(closed)
    assert_nothing_leaked(engine)


def test_three_calls_in_ten_go_wrong_in_every_way(sandbox: SandboxServer, engine: Engine, measure: Measure) -> None:
    sandbox.configure(latency_ms=100, error_rates=STORM)
    photos = submit(photo_batch(2_000, options=BatchOptions(timeout_ms=2_000, backoff_ms=200)))
    messages = submit(message_batch(160, timeout_ms=2_000, backoff_ms=200))
    began = time.monotonic()
    wait_until_closed([photos, messages], engine, 180)
    measure("seconds until everything was settled", time.monotonic() - began)

    assert statuses(photos) == {ItemStatus.SUCCEEDED: 2_000}
    assert_counters_equal_rows(photos)
    assert_counters_equal_rows(messages)
    entries = [entry for entry in sandbox.log() if entry["provider"] == "twilio"]
    called = {entry["reference"]: entry for entry in entries}
    accepted = Counter(entry["to"] for entry in entries if entry["accepted"])
    assert set(accepted.values()) == {1}
    for item in messages.items.all():
        last = called[str(item.attempt_id)]
        if item.status == ItemStatus.SUCCEEDED:
            assert last["accepted"]
            assert last["status"] == 201
        else:  # nobody can tell: it may have arrived or not, so it is not sent again
            assert item.status == ItemStatus.UNKNOWN, item.error_code
            assert last["status"] not in {201, 429} or item.error_code == "invalid_answer"
    outcomes = statuses(messages)
    measure("messages in doubt of 160", outcomes[ItemStatus.UNKNOWN])
    # Only a refusal for the rate was tried again.
    assert len(entries) == 160 + len([entry for entry in entries if entry["status"] == 429])
    assert ItemError.objects.filter(batch=photos).values("code").distinct().count() >= 4
    assert_nothing_leaked(engine)


def test_the_retry_window_ends_every_item_and_not_before_its_time(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    """The six hours of a real batch, scaled to eight seconds."""
    sandbox.configure(error_rates={"500": 1.0})
    batch = submit(photo_batch(200, options=BatchOptions(retry_window_seconds=WINDOW_SECONDS, backoff_ms=500)))
    wait_until_closed([batch], engine)

    assert batch.status == "failed"
    assert statuses(batch) == {ItemStatus.FAILED: 200}
    assert_counters_equal_rows(batch)
    lasted = []
    for item in batch.items.all():
        assert item.first_attempt_at is not None
        assert item.finished_at is not None
        seconds = (item.finished_at - item.first_attempt_at).total_seconds()
        lasted.append(seconds)
        longest_next_delay = min(TRANSIENT.last, 0.5 * 2 ** (item.attempts - 1))
        assert seconds + longest_next_delay > WINDOW_SECONDS  # the next attempt might have been beyond the window
        assert seconds < WINDOW_SECONDS + 2
        assert item.error_category == "server"
        assert item.errors.get().count == item.attempts > 3
    measure(f"median seconds an item was tried, of a window of {WINDOW_SECONDS}", statistics.median(lasted))
    assert_nothing_leaked(engine)
