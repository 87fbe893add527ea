"""Which of two stories of a batch is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batches.live.board import Board, Reading
from batches.progress import BatchFacts

FACTS = BatchFacts(
    pk=1,
    id="batch_1_a",
    owner_id=7,
    operation="sms",
    name="",
    subject="",
    provider="twilio",
    status="running",
    total=10,
    succeeded=0,
    failed=0,
    cancelled=0,
    unknown=0,
    started_at=1000.0,
    completed_at=None,
)


def heard(*messages: tuple[float, dict[str, Any]]) -> Board:
    board = Board()
    for at, changes in messages:
        board.hear(replace(FACTS, **changes), at=at, now=at)
    return board


def seen(board: Board, now: float = 1010.0) -> BatchFacts:
    sight = board.sight(1, now)
    assert sight is not None
    return sight.facts


def test_a_late_older_message_does_not_lower_the_counts() -> None:
    board = heard((1001, {"succeeded": 5}), (1002, {"succeeded": 4}))
    assert seen(board).succeeded == 5


def test_with_equal_counts_the_later_message_says_the_status() -> None:
    board = heard((1001, {"status": "paused"}), (1000.5, {"status": "running"}))
    assert seen(board).status == "paused"
    board.hear(FACTS, at=1003, now=1003)
    assert seen(board).status == "running"


def test_a_last_worker_does_not_reopen_what_the_dispatcher_closed() -> None:
    board = heard((1001, {"succeeded": 10, "status": "completed"}), (1002, {"succeeded": 10}))
    assert seen(board).status == "completed"


def test_the_database_may_lower_the_counts_after_a_retry() -> None:
    board = heard((1001, {"failed": 10, "status": "failed"}))
    assert board.read(Reading(replace(FACTS, failed=0), False), started=1002, now=1002.1)
    assert seen(board).status == "running"


def test_a_message_that_overtook_the_query_is_kept() -> None:
    board = heard((1001, {"succeeded": 3}), (1002, {"succeeded": 6}))
    assert not board.read(Reading(replace(FACTS, succeeded=5), False), started=1001.9, now=1002.1)
    assert seen(board).succeeded == 6


def test_the_same_news_twice_is_no_news() -> None:
    board = heard((1001, {"succeeded": 3}))
    assert not board.hear(replace(FACTS, succeeded=3), at=1002, now=1002)


def test_it_forgets_what_is_over_and_what_nobody_watches() -> None:
    board = heard((1001, {}))
    board.forget(owners=[7], now=1001)
    assert len(board) == 1
    board.read(Reading(FACTS, True), started=1002, now=1002)
    board.forget(owners=[7], now=1030)
    assert len(board) == 1  # late messages may still come
    board.forget(owners=[7], now=1100)
    assert len(board) == 0


def test_it_forgets_the_batches_of_owners_who_left() -> None:
    board = heard((1001, {}))
    board.forget(owners=[8], now=1001)
    assert board.sight(1, 1001) is None


def test_the_eta_follows_the_rate_and_is_null_while_paused() -> None:
    board = heard((1000, {}), (1002, {"succeeded": 4}))
    sight = board.sight(1, 1002.0)
    assert sight is not None
    assert (sight.rate, sight.eta) == (2.0, 3)
    board.hear(replace(FACTS, succeeded=4, status="paused"), at=1003, now=1003)
    paused = board.sight(1, 1003.0)
    assert paused is not None
    assert (paused.rate, paused.eta) == (None, None)


def test_a_batch_of_a_million_keeps_few_samples() -> None:
    board = heard(*((1000 + tick / 10, {"total": 10**6, "succeeded": tick * 50}) for tick in range(2_000)))
    assert len(board._entries[1].samples) < 40
    sight = board.sight(1, 1199.9)
    assert sight is not None
    assert sight.rate is not None
    assert abs(sight.rate - 500) < 10
