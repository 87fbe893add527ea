"""kill -9 at one exact point of a worker's way: before and after each of its writes, heard by nobody."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from batches.models import Item
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults import gate
from tests.faults.campaign import (
    Campaign,
    assert_ended_well,
    kill,
    start_campaign,
    statuses,
    wait_until,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.gate import Gate, Point
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

PHOTOS = 100
MESSAGES = 4
RECOVERY_SECONDS = 30.0


@dataclass
class Death:
    """A campaign whose only worker was killed at a point, and what the witness had seen until then."""

    campaign: Campaign
    engine: Engine
    called_before: Counter[str]
    killed_at: float

    def calls_of(self, provider: str, field: str) -> Counter[str]:
        """How often the provider was called for each image or number."""
        return Counter(entry[field] for entry in self.campaign.calls(provider))


def die_at(
    point: Point,
    sandbox: SandboxServer,
    engine: Engine,
    measure: Measure,
    *,
    cut: bool,
    until: Callable[[Campaign, Gate], object] = lambda _, closed: closed.waiting(),
) -> Death:
    """Kill the only worker while it stands at the point. ``cut``: what it was about to do there never happens;
    otherwise Postgres does it, and nobody hears of it. Then a new worker ends the campaign."""
    engine.start(workers=1)
    sandbox.configure(latency_ms=100)
    with Gate(engine.environment["DATABASE_URL"], point) as closed:
        campaign = start_campaign(sandbox, photos=PHOTOS, messages=MESSAGES)
        wait_until(lambda: until(campaign, closed), "the worker at the gate", engine, 30)
        kill(engine, engine.processes[1])
        killed = time.monotonic()
        called = Counter(entry["to"] or entry["image"] for entry in sandbox.log())
        death = Death(campaign, engine, called, time.time())
        if cut:
            closed.cut()
    engine.wait_until_seen(engine.start_worker())
    wait_until_settled(campaign, engine)
    measure("seconds from the kill until everything was settled", time.monotonic() - killed)
    assert_ended_well(campaign, engine)
    return death


@pytest.fixture
def unstarted(sandbox: SandboxServer, tmp_path: Path) -> Engine:
    return Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME)


def answered(campaign: Campaign, closed: Gate) -> bool:
    """The recorder stands at the gate, and behind it wait the answers of every photo and of a message.

    Of one at least: others may be snoozed until their slot is near, and that is recorded as well.
    """
    answers = Counter(entry["provider"] for entry in campaign.sandbox.log() if entry["status"])
    return bool(closed.waiting()) and answers["openai-gpt-5"] == PHOTOS and answers["twilio"] >= 1


def assert_what_is_in_doubt_is_unknown(death: Death) -> set[str]:
    """Nobody was called twice, and the ledger knows which call it is that is in doubt. Returns whose.

    One that was about to be sent is in doubt as well: its start was committed, its call never made.
    """
    references = {entry["to"]: entry["reference"] for entry in death.campaign.calls("twilio")}
    assert set(death.calls_of("twilio", "to").values()) == {1}
    in_doubt = set()
    for item in Item.objects.filter(batch=death.campaign.messages, status=ItemStatus.UNKNOWN):
        number = item.input["to"]
        assert item.error_code == "worker_died"
        assert references.get(number) in {None, str(item.attempt_id)}
        assert number in death.called_before or number not in references
        in_doubt.add(number)
    return in_doubt


def assert_every_answered_message_is_unknown(death: Death) -> None:
    """None of those answers was recorded; what had not been started was sent later."""
    called = {number for number in death.called_before if number.startswith("+")}
    assert called <= assert_what_is_in_doubt_is_unknown(death)
    assert set(statuses(death.campaign.messages)) <= {ItemStatus.UNKNOWN, ItemStatus.SUCCEEDED}


def test_between_answer_and_record(sandbox: SandboxServer, unstarted: Engine, measure: Measure) -> None:
    with unstarted as engine:
        death = die_at(gate.OUTCOME, sandbox, engine, measure, cut=True, until=answered)

        assert_every_answered_message_is_unknown(death)
        # A photo that was answered and not recorded is asked about again.
        assert set(death.calls_of("openai-gpt-5", "image").values()) == {2}


@pytest.mark.parametrize("cut", [True, False], ids=["never done", "done unheard"])
def test_before_the_lease_is_accepted(sandbox: SandboxServer, unstarted: Engine, measure: Measure, cut: bool) -> None:
    with unstarted as engine:
        death = die_at(gate.ACCEPT, sandbox, engine, measure, cut=cut)

        assert not death.called_before
        assert statuses(death.campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
        assert set(death.calls_of("openai-gpt-5", "image").values()) == {1}
        first = min(entry["at"] for entry in sandbox.log())
        assert first - death.killed_at < RECOVERY_SECONDS
        measure("seconds from the kill until the first call", first - death.killed_at)


@pytest.mark.parametrize("cut", [True, False], ids=["never done", "done unheard"])
def test_before_the_start_is_committed(sandbox: SandboxServer, unstarted: Engine, measure: Measure, cut: bool) -> None:
    with unstarted as engine:
        death = die_at(gate.START, sandbox, engine, measure, cut=cut)

        assert not any(number.startswith("+") for number in death.called_before)
        outcomes = statuses(death.campaign.messages)
        if cut:  # surely not started: sent later
            assert outcomes == {ItemStatus.SUCCEEDED: MESSAGES}
        else:  # started as far as the ledger knows: nobody can tell, so it is not sent
            assert outcomes[ItemStatus.UNKNOWN] >= 1
            assert len(death.campaign.calls("twilio")) == outcomes[ItemStatus.SUCCEEDED]


@pytest.mark.parametrize("point", [gate.COUNT, gate.OUTCOME], ids=["before the counters", "before the items"])
def test_in_the_middle_of_recording(sandbox: SandboxServer, unstarted: Engine, measure: Measure, point: Point) -> None:
    with unstarted as engine:
        death = die_at(point, sandbox, engine, measure, cut=False, until=answered)

        assert_every_answered_message_is_unknown(death)


@pytest.mark.parametrize("cut", [True, False], ids=["never done", "done unheard"])
def test_within_the_commit(sandbox: SandboxServer, unstarted: Engine, measure: Measure, cut: bool) -> None:
    with unstarted as engine:
        death = die_at(gate.COMMIT, sandbox, engine, measure, cut=cut, until=answered)

        assert_what_is_in_doubt_is_unknown(death)
        calls = death.calls_of("openai-gpt-5", "image")
        # The group that was committed unheard is not asked about again; all others are, where there were others.
        assert set(calls.values()) in ([{2}] if cut else [{1}, {1, 2}])
