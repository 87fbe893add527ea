"""What becomes of an item whose lease is dead, and which changes of status there are at all."""

from __future__ import annotations

import uuid

import pytest

from batches.dispatching.rescue import ALONE_DEATHS, POISON_DEATHS, Orphan, verdict
from batches.states import (
    BATCH_TRANSITIONS,
    FINAL_BATCH_STATUSES,
    FINAL_ITEM_STATUSES,
    ITEM_TRANSITIONS,
    BatchStatus,
    ItemStatus,
)


def orphan(*, started: bool, accepted: bool, deaths: int = 0) -> Orphan:
    return Orphan(1, 2, 3, uuid.uuid4(), deaths, started, accepted, "provider")


@pytest.mark.parametrize(
    ("accepted", "started", "idempotent", "deaths", "status"),
    [
        (False, False, True, 0, "pending"),
        (False, False, False, 9, "pending"),  # no worker had it: nobody can have died of it
        (True, False, True, 0, "pending"),
        (True, False, False, 0, "pending"),
        (True, True, False, 0, "unknown"),
        (True, True, False, 9, "unknown"),
        (True, True, True, 0, "pending"),
        (True, False, True, ALONE_DEATHS, "pending"),
        (True, False, True, POISON_DEATHS - 1, "failed"),
        (True, False, False, POISON_DEATHS - 1, "failed"),
    ],
)
def test_an_orphan_gets_what_is_safe(accepted: bool, started: bool, idempotent: bool, deaths: int, status: str) -> None:
    found = orphan(started=started, accepted=accepted, deaths=deaths)
    change = verdict(found, idempotent=idempotent)
    assert change.status == status
    assert (change.attempts, change.failures) == ((0, 0) if status == "pending" else (1, 1))
    assert change.attempt_id == found.attempt_id  # late truth is recognised by it


def test_only_an_item_that_died_alone_is_called_poison() -> None:
    assert POISON_DEATHS >= ALONE_DEATHS + 2


ITEM_EXITS = {("failed", "pending"), ("unknown", "pending"), ("unknown", "succeeded"), ("unknown", "failed")}
BATCH_EXITS = {("completed", "running"), ("failed", "running"), ("failed", "completed")}


def test_a_final_item_moves_only_by_a_retry_or_by_evidence() -> None:
    assert {(old, new) for old in FINAL_ITEM_STATUSES for new in ITEM_TRANSITIONS[old]} == ITEM_EXITS


def test_a_final_batch_moves_only_by_a_retry_or_by_evidence() -> None:
    assert {(old, new) for old in FINAL_BATCH_STATUSES for new in BATCH_TRANSITIONS[old]} == BATCH_EXITS


def test_an_item_ends_only_from_running_or_by_the_sweep() -> None:
    for final in FINAL_ITEM_STATUSES - {ItemStatus.CANCELLED}:
        assert final not in ITEM_TRANSITIONS[ItemStatus.PENDING]
    assert ItemStatus.CANCELLED not in ITEM_TRANSITIONS[ItemStatus.RUNNING]


def test_a_batch_never_waits_again_once_it_ran() -> None:
    assert not any(BatchStatus.PENDING in targets for targets in BATCH_TRANSITIONS.values())
