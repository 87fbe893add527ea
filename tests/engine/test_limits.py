"""Permits as reservations, on the real Redis and on the one in pure Python that bin/up falls back to."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import fakeredis
import pytest
import redis

from batches import limits
from batches.connections import redis_client
from batches.limits import (
    FORGET_MILLISECONDS,
    HORIZON_SECONDS,
    SHARE_OF_LEARNED,
    USUAL_TOKENS,
    Limit,
    limits_of,
    reserve,
    settle,
    slowest,
)
from batches.models import Batch
from batches.provider_accounts.account_states import AccountState, known_accounts
from providers.base import Limits
from tests.engine.scripted import Repeatable

JITTER = 0.02
"""Between Redis's clock and ours lies a round trip."""

NewLimit = Callable[..., Limit]


@pytest.fixture(params=["redis", "fakeredis"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[redis.Redis]:
    """Either server, with keys of this test only."""
    settings.REDIS_PREFIX = f"test-{secrets.token_hex(6)}"
    client = fakeredis.FakeRedis() if request.param == "fakeredis" else redis_client()
    monkeypatch.setattr(limits, "redis_client", lambda: client)
    yield client
    for key in client.scan_iter(f"{settings.REDIS_PREFIX}:*"):
        client.delete(key)


@pytest.fixture
def warm(server: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that Redis does not know yet starts at once."""
    monkeypatch.setattr(limits, "fresh_delay", lambda limit, horizon: 0.0)


def key(limit: Limit, settings: Any) -> str:
    return f"{settings.REDIS_PREFIX}:limit:{limit.name}"


def assert_spaced(slots: Sequence[float], interval: float) -> None:
    """No two slots are closer than the interval."""
    ordered = sorted(slots)
    closest = min(later - earlier for earlier, later in pairwise(ordered))
    assert closest >= interval - JITTER, f"two slots are {closest:.4f} s apart"


@pytest.mark.usefixtures("warm")
def test_slots_of_one_call_are_spaced_by_the_interval(new_limit: NewLimit) -> None:
    answer = reserve([new_limit(10.0)], 5)
    assert len(answer.slots) == 5
    assert [later - earlier for earlier, later in pairwise(answer.slots)] == pytest.approx([0.1] * 4)


@pytest.mark.usefixtures("warm")
def test_a_call_gets_only_what_lies_within_the_horizon(new_limit: NewLimit) -> None:
    answer = reserve([new_limit(10.0)], 1_000)
    assert len(answer.slots) == 11  # at 0, 0.1, ... 1.0
    assert answer.next_wait_seconds == pytest.approx(1.1, abs=JITTER)
    assert answer.spacing_seconds == pytest.approx(0.1)


@pytest.mark.usefixtures("warm")
def test_beyond_the_horizon_nothing_is_given_and_nothing_changed(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    full, free = new_limit(10.0), new_limit(10.0)
    reserve([full], 1_000)
    reserve([free], 1)
    before = [server.get(key(limit, settings)) for limit in (full, free)]
    answer = reserve([full, free], 3)
    assert answer.slots == ()
    assert HORIZON_SECONDS < answer.next_wait_seconds <= 1.1
    assert [server.get(key(limit, settings)) for limit in (full, free)] == before


@pytest.mark.usefixtures("warm")
def test_several_limits_share_one_slot_at_the_pace_of_the_slowest(new_limit: NewLimit) -> None:
    fast, slow = new_limit(100.0), new_limit(5.0)
    answer = reserve([fast, slow], 3)
    assert_spaced(answer.slots, 0.2)
    later = reserve([fast], 1)
    assert later.slots[0] >= answer.slots[-1] - answer.uncertain_seconds


@pytest.mark.parametrize("horizon", [0.25, 1.0])
@pytest.mark.parametrize("per_second", [2.0, 8.0, 100.0])
def test_a_forgotten_limit_starts_an_interval_behind_the_last_slot_that_may_be_promised(
    new_limit: NewLimit, server: redis.Redis, settings: Any, horizon: float, per_second: float
) -> None:
    """So that a FLUSHALL shows nowhere in the spacing; where everything within the horizon was promised, not at all."""
    limit = new_limit(per_second)
    server.set(key(limit, settings), 0)
    began = time.monotonic()
    reserve([limit], 1_000, horizon_seconds=horizon)
    behind_the_last = int(server.get(key(limit, settings)) or 0)
    server.delete(key(limit, settings))
    assert not reserve([limit], 1, horizon_seconds=horizon).slots
    passed = (time.monotonic() - began) * 1e6
    starts = int(server.get(key(limit, settings)) or 0)  # both by the server's clock, in microseconds
    assert 0 <= starts - behind_the_last <= limit.interval * 1e6 + passed
    answer = reserve([limit], 1, horizon_seconds=horizon)
    if not answer.slots:
        assert int(server.get(key(limit, settings)) or 0) == starts
        time.sleep(max(0.0, answer.next_wait_seconds - horizon + 0.005))
        assert reserve([limit], 1, horizon_seconds=horizon).slots


def test_a_new_limit_of_a_few_a_minute_does_not_wait_for_minutes(new_limit: NewLimit) -> None:
    assert reserve([new_limit(1 / 60)], 1).next_wait_seconds == pytest.approx(2.0, abs=JITTER)


@pytest.mark.parametrize("per_second", [2.0, 8.0])
def test_forgetting_everything_again_and_again_never_lets_a_second_exceed_the_limit_by_more_than_one(
    new_limit: NewLimit, server: redis.Redis, settings: Any, per_second: float
) -> None:
    limit, slots = new_limit(per_second), list[float]()
    began, flushes = time.monotonic(), 0
    while (passed := time.monotonic() - began) < 2.5:
        slots += reserve([limit], 1, horizon_seconds=0.25).slots
        if passed > 0.9 * (flushes + 1):
            server.delete(key(limit, settings))
            flushes += 1
        time.sleep(0.005)
    crowd = max(sum(start <= slot < start + 1.0 - JITTER for slot in slots) for start in slots)
    assert flushes == 2
    assert crowd <= per_second + 1
    assert_spaced(slots, limit.interval)


def test_a_limit_that_is_forgotten_again_and_again_still_moves(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    limit = new_limit(10.0)
    for _ in range(3):
        wait = reserve([limit], 1, horizon_seconds=0.25).next_wait_seconds
        time.sleep(max(0.0, wait - 0.25 + 0.005))
        assert reserve([limit], 1, horizon_seconds=0.25).slots
        server.delete(key(limit, settings))


@pytest.mark.usefixtures("warm")
def test_threads_never_share_a_slot_nor_crowd_the_limit(new_limit: NewLimit) -> None:
    limit, slots = new_limit(50.0), list[float]()

    def take() -> None:
        for _ in range(10):
            slots.extend(reserve([limit], 1).slots)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slots) == 40
    assert_spaced(slots, 0.02)
    assert max(slots) - min(slots) == pytest.approx(39 / 50, abs=JITTER)


@pytest.mark.usefixtures("warm")
def test_after_a_pause_nothing_was_saved_up(new_limit: NewLimit) -> None:
    limit = new_limit(20.0)
    reserve([limit], 1)
    time.sleep(0.3)
    answer = reserve([limit], 3)
    assert answer.slots[0] - time.monotonic() == pytest.approx(0.0, abs=JITTER)
    assert_spaced(answer.slots, 0.05)


@pytest.mark.usefixtures("warm")
def test_a_shared_limit_is_kept_and_a_batchs_own_forgotten_some_day(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    shared, own = new_limit(10.0), new_limit(10.0, forgettable=True)
    reserve([shared, own], 1)
    assert server.pttl(key(shared, settings)) == -1
    assert FORGET_MILLISECONDS - 10_000 < server.pttl(key(own, settings)) <= FORGET_MILLISECONDS


@pytest.mark.usefixtures("warm")
def test_a_clock_that_jumped_back_holds_a_limit_up_for_seconds_not_for_hours(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    limit = new_limit(10.0)
    server.set(key(limit, settings), str(round((time.time() + 36_000) * 1e6)))
    assert reserve([limit], 1).next_wait_seconds <= HORIZON_SECONDS + limit.interval + JITTER


@pytest.mark.usefixtures("warm")
def test_the_servers_clock_decides(new_limit: NewLimit, server: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(server, fakeredis.FakeRedis):
        pytest.skip("its clock is this process's")
    limit = new_limit(2.0)
    reserve([limit], 1)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert reserve([limit], 1).slots[0] - time.monotonic() == pytest.approx(0.5, abs=0.1)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("per_second", [1e-5, 1 / 60, 3.0, 1e4])
def test_any_rate_counts_exactly(new_limit: NewLimit, per_second: float) -> None:
    limit = new_limit(per_second)
    first = reserve([limit], 1)
    assert len(first.slots) == 1
    assert first.next_wait_seconds == pytest.approx(1 / per_second, rel=0.001)


@pytest.mark.usefixtures("warm")
def test_a_restarted_server_learns_the_script_again(new_limit: NewLimit, server: redis.Redis) -> None:
    reserve([new_limit(10.0)], 1)
    server.script_flush()
    assert reserve([new_limit(10.0)], 1).slots


@pytest.mark.usefixtures("warm")
def test_it_is_known_how_uncertain_a_slot_is(
    new_limit: NewLimit, server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the server's decision and our reading of it this process may have been stopped."""
    limit, script = new_limit(10.0), limits._script()

    def slow(**arguments: Any) -> Any:
        answer = script(**arguments)
        time.sleep(0.3)
        return answer

    began = time.monotonic()
    usual = reserve([limit], 1)
    assert 0 < usual.uncertain_seconds <= time.monotonic() - began
    monkeypatch.setattr(limits, "_script", lambda: slow)
    began = time.monotonic()
    stopped = reserve([limit], 1)
    assert 0.3 <= stopped.uncertain_seconds <= time.monotonic() - began
    earliest = stopped.slots[0] - stopped.uncertain_seconds
    assert earliest <= usual.slots[0] + limit.interval + JITTER <= stopped.slots[0]


def test_every_limit_of_a_call_is_found() -> None:
    given = Limits(requests_per_minute=600.0, sms_per_second={"high": 8.0, "normal": 5.0, "low": 2.0})
    provider = Repeatable(alias="a", key="", limits=given, uses_sandbox=True, base_url="")
    batch = Batch(id=7, channel="sms", priority="high", rate_limit=90.0)
    found = limits_of(batch, provider)
    assert [(limit.name, limit.per_second, limit.forgettable) for limit in found] == [
        ("sms:a:high", 8.0, False),
        ("requests:a", 10.0, False),
        ("batch:7", 1.5, True),
    ]
    assert slowest(found) == found[2]
    assert limits_of(Batch(id=7, channel="ai", priority="high"), provider) == (found[1],)
    assert limits_of(Batch(id=7, channel="ai", priority="high"), None) == ()
    assert slowest(()) is None


@pytest.fixture
def learned() -> Iterator[Callable[[AccountState], None]]:
    """Say what this process knows of the account ``a``."""
    yield lambda state: known_accounts.replace({"a": state})
    known_accounts.replace({})


@pytest.mark.parametrize(
    ("configured", "named", "per_second"),
    [(None, 600.0, 10.0 * SHARE_OF_LEARNED), (300.0, 600.0, 5.0), (6_000.0, 600.0, 10.0 * SHARE_OF_LEARNED)],
)
def test_the_smaller_of_what_is_configured_and_what_was_learned_counts(
    learned: Callable[[AccountState], None], configured: float | None, named: float, per_second: float
) -> None:
    learned(AccountState(requests_per_minute=named))
    given = Limits(requests_per_minute=configured)
    provider = Repeatable(alias="a", key="", limits=given, uses_sandbox=True, base_url="")
    (limit,) = limits_of(Batch(id=7, channel="ai", priority="high"), provider)
    assert limit.name == "requests:a"
    assert limit.per_second == pytest.approx(per_second)


def test_what_is_learned_changes_the_version_and_what_is_not_a_rate_does_not(
    learned: Callable[[AccountState], None],
) -> None:
    learned(AccountState(requests_per_minute=600.0))
    version = known_accounts.version
    learned(AccountState(requests_per_minute=600.0, concurrency=5.0, opened_for="budget"))
    assert known_accounts.version == version
    learned(AccountState(requests_per_minute=300.0))
    assert known_accounts.version == version + 1


def test_a_limit_on_tokens_meets_each_call_by_its_size(learned: Callable[[AccountState], None]) -> None:
    learned(AccountState(tokens_per_minute=60_000.0))
    provider = Repeatable(alias="a", key="", limits=Limits(), uses_sandbox=True, base_url="")
    (limit,) = limits_of(Batch(id=7, channel="ai", priority="high"), provider)
    assert limit.per_second == pytest.approx(1_000 * SHARE_OF_LEARNED / USUAL_TOKENS)
    assert limit.for_call(490).interval == pytest.approx(0.5)
    learned(AccountState(tokens_per_minute=60_000.0, tokens_per_call=98.0))
    assert limits_of(Batch(id=7, channel="ai", priority="high"), provider)[0].per_second == pytest.approx(10.0)


@pytest.mark.usefixtures("warm")
def test_a_large_call_keeps_the_limit_busy_for_longer_than_a_small_one(new_limit: NewLimit) -> None:
    limit, requests = new_limit(1.0, tokens_per_second=1_000.0), new_limit(100.0)
    first = reserve([limit.for_call(700), requests], 1).slots[0]
    second = reserve([limit.for_call(100), requests], 1).slots[0]
    third = reserve([limit.for_call(100), requests], 1).slots[0]
    assert second - first == pytest.approx(0.7, abs=JITTER)
    assert third - second == pytest.approx(0.1, abs=JITTER)


@pytest.mark.usefixtures("warm")
def test_a_call_of_minutes_worth_of_tokens_pushes_the_next_away_truly(new_limit: NewLimit) -> None:
    limit = new_limit(1.0, tokens_per_second=1_000.0)
    assert reserve([limit.for_call(120_000)], 1).slots
    answer = reserve([limit.for_call(10)], 1)
    assert not answer.slots
    assert answer.next_wait_seconds == pytest.approx(120.0, abs=0.5)


@pytest.mark.usefixtures("warm")
def test_neither_limit_is_touched_where_the_other_refuses(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    tokens, requests = new_limit(1.0, tokens_per_second=1_000.0), new_limit(10.0)
    reserve([tokens.for_call(5_000)], 1)
    reserve([requests], 1)
    before = [server.get(key(limit, settings)) for limit in (tokens, requests)]
    assert not reserve([tokens.for_call(10), requests], 1).slots
    assert [server.get(key(limit, settings)) for limit in (tokens, requests)] == before


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(("used", "wait"), [(900, 0.9), (300, 0.3), (500, 0.5), (0, 0.0)])
def test_what_a_call_used_in_truth_is_settled(new_limit: NewLimit, used: int, wait: float) -> None:
    limit = new_limit(1.0, tokens_per_second=1_000.0)
    first = reserve([limit.for_call(500)], 1).slots[0]
    settle(limit, 500, used)
    second = reserve([limit.for_call(500)], 1).slots[0]
    assert second - first == pytest.approx(wait, abs=2 * JITTER)


def test_nothing_is_saved_up_by_settling_and_a_forgotten_limit_stays_forgotten(
    new_limit: NewLimit, server: redis.Redis, settings: Any
) -> None:
    limit = new_limit(1.0, tokens_per_second=1_000.0)
    settle(limit, 100, 50)
    assert server.get(key(limit, settings)) is None
    seconds, microseconds = server.time()
    server.set(key(limit, settings), str(seconds * 1_000_000 + microseconds + 100_000))
    settle(limit, 10_000, 0)
    free = int(server.get(key(limit, settings)) or 0)
    seconds, microseconds = server.time()
    assert abs(free - seconds * 1_000_000 - microseconds) < 50_000
    settle(new_limit(10.0), 5, 7)  # no limit on tokens: nothing to correct
