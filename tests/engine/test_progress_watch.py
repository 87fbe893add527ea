"""When a worker is called stuck, and when it is not: pure decisions over series of sights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from batches.running.progress_watch import LOOK_SECONDS, Judge, Sight
from batches.standstill import EXIT_CODE

LIMIT = 60.0
WELL = Sight(
    at=0.0,
    accepted=0,
    recorded=0,
    unrecorded=0,
    in_flight=0,
    has_room=True,
    moved_at=0.0,
    longest_call_seconds=30.0,
    unrenewed_seconds=0.0,
    beaten=True,
    work_waits=False,
    locks_wait=False,
)


def judged(judge: Judge, seconds: float, since: float = 0.0, **changes: Any) -> tuple[str | None, float]:
    """Look every five seconds at a worker like this; the first verdict, and when it came."""
    at = since
    while at < since + seconds:
        at += LOOK_SECONDS
        verdict = judge.verdict(replace(WELL, at=at, **changes))
        if verdict is not None:
            return verdict, at
    return None, at


STUCK: dict[str, dict[str, Any]] = {
    "its heartbeat does not reach the ledger": {"beaten": False},
    "leases in hand are not renewed": {"unrenewed_seconds": 3.0},
    "outcomes are not recorded": {"unrecorded": 5, "recorded": 100},
    "its calls do not end": {"in_flight": 3},
    "leases wait and it accepts none": {"work_waits": True, "accepted": 17},
}


@pytest.mark.parametrize("reason", STUCK)
def test_what_lasts_is_a_verdict_and_not_before_its_time(reason: str) -> None:
    verdict, at = judged(Judge(LIMIT), 300, **STUCK[reason])
    assert verdict == reason
    calls = 2 * WELL.longest_call_seconds if reason == "its calls do not end" else 0.0
    assert LIMIT + calls <= at <= LIMIT + calls + 3 * LOOK_SECONDS


@pytest.mark.parametrize("reason", STUCK)
def test_it_is_forgotten_when_the_servers_were_away_or_the_process_was_stopped(reason: str) -> None:
    judge = Judge(LIMIT)
    assert judged(judge, 50, **STUCK[reason])[0] is None
    judge.forget()
    assert judged(judge, 50, since=50, **STUCK[reason], **({"moved_at": 50.0} if "calls" in reason else {}))[0] is None
    assert judged(judge, 10, since=1000, **STUCK[reason])[0] is None


@pytest.mark.parametrize("reason", ["leases in hand are not renewed", "outcomes are not recorded"])
def test_who_waits_for_a_lock_of_the_database_is_not_stuck(reason: str) -> None:
    assert judged(Judge(LIMIT), 600, locks_wait=True, **STUCK[reason])[0] is None


def test_an_idle_worker_is_well_and_so_is_a_full_one() -> None:
    assert judged(Judge(LIMIT), 3600)[0] is None
    assert judged(Judge(LIMIT), 3600, work_waits=True, has_room=False)[0] is None


def test_long_idleness_does_not_count_when_work_comes() -> None:
    judge = Judge(LIMIT)
    assert judged(judge, 3600)[0] is None
    verdict, at = judged(judge, 300, since=3600, work_waits=True)
    assert verdict == "leases wait and it accepts none"
    assert at >= 3600 + LIMIT / 2


def test_an_accepted_lease_begins_a_new_count() -> None:
    judge = Judge(LIMIT)
    for accepted in range(20):
        assert judged(judge, 50, since=50.0 * accepted, work_waits=True, accepted=accepted)[0] is None


def test_leases_that_are_replaced_now_and_then_still_wait() -> None:
    """An unaccepted lease expires after twenty seconds; the next is too young to count for five."""
    judge = Judge(LIMIT)
    looks = [replace(WELL, at=5.0 * look, work_waits=look % 4 != 0) for look in range(1, 30)]
    assert "leases wait and it accepts none" in [judge.verdict(look) for look in looks]


def test_outcomes_that_move_on_are_not_stuck() -> None:
    judge = Judge(LIMIT)
    looks = [replace(WELL, at=5.0 * look, unrecorded=1000, recorded=look) for look in range(1, 100)]
    assert {judge.verdict(look) for look in looks} == {None}


STANDS_STILL = """
import time
from batches.standstill import Alarm
alarm = Alarm(1)
alarm.start()
for _ in range(4):
    alarm.beat()
    time.sleep(0.5)
print("went on", flush=True)
{rest}
time.sleep(30)
"""


@pytest.mark.parametrize(
    ("rest", "code", "words"),
    [
        ("", EXIT_CODE, "has stood still"),
        ("alarm.end_within(1)\nwhile True: alarm.beat(); time.sleep(0.1)", EXIT_CODE, "did not end in order"),
        ("alarm.stop(); time.sleep(3); raise SystemExit(0)", 0, ""),
    ],
    ids=["silent", "beats after its time", "stopped"],
)
def test_an_alarm_ends_the_process_that_stands_still(rest: str, code: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STANDS_STILL.format(rest=rest)], capture_output=True, text=True, timeout=25, check=False
    )
    assert done.returncode == code
    assert done.stdout == "went on\n"
    assert words in done.stderr
    assert ("File " in done.stderr) == bool(words)  # where it stood
