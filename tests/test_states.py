"""The transition tables."""

from __future__ import annotations

from batches.states import (
    BATCH_TRANSITIONS,
    FINAL_ITEM_STATUSES,
    ITEM_TRANSITIONS,
    LANES,
    BatchStatus,
    ItemStatus,
    batch_sources,
    lane_name,
)


def test_every_status_has_a_row() -> None:
    assert set(BATCH_TRANSITIONS) == set(BatchStatus)
    assert set(ITEM_TRANSITIONS) == set(ItemStatus)


def test_every_target_is_a_status() -> None:
    assert set().union(*BATCH_TRANSITIONS.values()) <= set(BatchStatus)
    assert set().union(*ITEM_TRANSITIONS.values()) <= set(ItemStatus)


def test_what_succeeded_or_was_cancelled_stays_so() -> None:
    assert not ITEM_TRANSITIONS[ItemStatus.SUCCEEDED]
    assert not ITEM_TRANSITIONS[ItemStatus.CANCELLED]
    assert not BATCH_TRANSITIONS[BatchStatus.CANCELLED]


def test_items_that_wait_are_not_final() -> None:
    assert ItemStatus.PENDING not in FINAL_ITEM_STATUSES
    assert ItemStatus.RUNNING not in FINAL_ITEM_STATUSES


def test_sources_are_the_table_read_backwards() -> None:
    assert batch_sources(BatchStatus.PAUSED) == ["running"]


def test_there_is_a_lane_for_each_channel_and_priority() -> None:
    assert len(LANES) == len(set(LANES)) == 9
    assert lane_name("sms", "low") in LANES
