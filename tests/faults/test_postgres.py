"""Postgres is the ledger: while it is away everything waits, and what was committed stays so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection

from batches.models import ItemError
from batches.states import ItemStatus
from batchsite.launcher.postgres import DATABASE, Postgres
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    Campaign,
    assert_ended_well,
    statuses,
    under_load,
    wait_until,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

MESSAGES = 40
CUTS = 10
FROZEN_SECONDS = 30


@pytest.fixture
def engine_of_its_own(sandbox: SandboxServer, own_postgres: Postgres, tmp_path: Path) -> Iterator[Engine]:
    """A dispatcher and two workers on a Postgres of their own."""
    url = own_postgres.url(DATABASE)
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, DATABASE_URL=url) as running:
        yield running.start(workers=2)


def called_since(campaign: Campaign, instant: float) -> list[float]:
    """When calls arrived after that instant."""
    return [entry["at"] for entry in campaign.sandbox.log() if entry["at"] > instant]


def assert_nobody_was_taken_for_dead(campaign: Campaign) -> None:
    """No worker died, so no lease was rescued: each item was called once."""
    assert not ItemError.objects.filter(code="worker_died").exists()
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
    assert len(campaign.calls("openai-gpt-5")) == campaign.photos.total


def test_postgres_crashes_under_load(
    sandbox: SandboxServer, own_postgres: Postgres, engine_of_its_own: Engine, measure: Measure
) -> None:
    campaign = under_load(sandbox, engine_of_its_own)

    own_postgres.stop(immediate=True)
    own_postgres.start()
    back = time.time()
    wait_until(lambda: called_since(campaign, back), "work resumed", engine_of_its_own, 60)
    measure("seconds from Postgres's restart until the next call", min(called_since(campaign, back)) - back)
    wait_until_settled(campaign, engine_of_its_own)

    assert_ended_well(campaign, engine_of_its_own)
    assert_nobody_was_taken_for_dead(campaign)


def test_postgres_stands_still_longer_than_a_lease(
    sandbox: SandboxServer, own_postgres: Postgres, engine_of_its_own: Engine, measure: Measure
) -> None:
    campaign = under_load(sandbox, engine_of_its_own)
    assert own_postgres.process is not None
    server = psutil.Process(own_postgres.process.pid)

    server.suspend()  # first, so that it starts no further one
    family = server.children(recursive=True)
    for process in family:
        process.suspend()
    time.sleep(FROZEN_SECONDS)
    for process in [*family, server]:
        process.resume()
    woken = time.time()
    wait_until(lambda: called_since(campaign, woken), "work resumed", engine_of_its_own, 60)
    first = min(called_since(campaign, woken))
    measure(f"seconds from the end of {FROZEN_SECONDS} s of standstill until the next call", first - woken)
    wait_until_settled(campaign, engine_of_its_own, 120)

    assert_ended_well(campaign, engine_of_its_own)
    assert_nobody_was_taken_for_dead(campaign)


def test_connections_to_postgres_are_cut_again_and_again(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    campaign = under_load(sandbox, engine)

    cut = 0
    for _ in range(CUTS):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [PROCESS_NAME]
            )
            cut += cursor.rowcount  # none at times: the pools wait a little longer after each broken connection
        time.sleep(0.5)
    measure("sessions cut", cut)
    assert cut > CUTS
    began = time.monotonic()
    wait_until_settled(campaign, engine)
    measure("seconds from the last cut until everything was settled", time.monotonic() - began)

    assert_ended_well(campaign, engine)
    assert_nobody_was_taken_for_dead(campaign)
