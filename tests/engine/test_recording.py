"""Group commit: what is written of an outcome, whose writes count, and what happens to what cannot be written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gevent
import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from django.utils import timezone

from batches.dispatching import rescue
from batches.figures import Figures
from batches.models import Batch, BatchHistogram, Item, ItemError, Lease, ProviderAccount
from batches.outcomes import Fault
from batches.running import recorder as module
from batches.running.changes import Change
from batches.running.recorder import Recorder, write
from batches.usage import used_by
from providers.base import ErrorCategory
from tests.engine.conftest import until
from tests.engine.ledger import (
    accepted,
    assert_counters,
    assert_no_lease,
    change,
    changes,
    expire,
    items,
    lease,
    new_batch,
    statuses,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Recording:
    """A running recorder and what it said."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.written: list[Change] = []
        self.recorder = Recorder(self.facts.append, self.written.extend)

    def record(self, group: Sequence[Change], seconds: float = 10.0) -> None:
        """Hand over and wait until all is committed."""
        for each in group:
            self.recorder.put(each)
        assert self.recorder.drain(seconds), "the recorder did not get done"


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    running = Recording()
    running.recorder.start()
    yield running
    running.recorder.stop()


def counted(measure: str) -> int:
    return sum(BatchHistogram.objects.filter(measure=measure).values_list("count", flat=True))


def test_every_kind_of_outcome_is_written_and_counted() -> None:
    batch = new_batch(5)
    held = accepted(batch)
    one, two, three, four, five = held.items
    write(
        [
            change(held, one, quality=0.81, provider_reference="ref-1"),
            change(held, two, "failed"),
            change(held, three, "unknown"),
            change(held, four, "pending", delay_seconds=60.0),
            Change(five.id, batch.pk, held.id, "p", None, "pending"),
        ]
    )
    assert statuses(batch) == ["succeeded", "failed", "unknown", "pending", "pending"]
    assert_counters(batch, succeeded=1, failed=1, unknown=1)
    assert_no_lease()
    first, second, _, retried, snoozed = items(batch)
    assert (first.result, first.quality, first.provider_reference) == ({"answer": 42}, 0.81, "ref-1")
    assert (first.error_code, second.error_code, second.error_category) == ("", "server_error", "server")
    assert (retried.attempts, retried.failures, retried.error_code) == (1, 1, "")
    assert 55 < (retried.due_at - timezone.now()).total_seconds() <= 60
    assert (snoozed.attempts, snoozed.first_attempt_at) == (0, None)
    assert {row.code: row.count for row in ItemError.objects.all()} == {"server_error": 1}
    assert ItemError.objects.count() == 3
    assert (counted("duration"), counted("finished"), counted("quality")) == (3, 3, 1)
    assert (counted("error:server"), counted("failed:server")) == (3, 2)


def test_the_same_error_again_is_counted_in_its_row() -> None:
    batch = new_batch(1)
    for _ in range(3):
        Item.objects.update(due_at=timezone.now())
        write(changes(accepted(batch), "pending"))
    assert ItemError.objects.get().count == 3
    (item,) = items(batch)
    assert (item.attempts, item.failures) == (3, 3)


def test_a_huge_message_is_cut() -> None:
    batch = new_batch(1)
    fault = Fault(ErrorCategory.CONTENT, "x" * 500, "\x00ä" * 1_000_000)
    write(changes(accepted(batch), "failed", fault=fault))
    (item,) = items(batch)
    assert (len(item.error_message), len(item.error_code)) == (2_000, 64)


def test_a_late_write_of_a_lost_lease_changes_nothing() -> None:
    batch = new_batch(2)
    late = accepted(batch)
    expire(late.id)
    rescue.rescue()
    write(changes(late))
    write(changes(late, "failed"))
    assert statuses(batch) == ["pending", "pending"]
    assert_counters(batch)


def test_an_outcome_written_twice_counts_once() -> None:
    batch = new_batch(2)
    group = changes(accepted(batch))
    write(group)
    write(group)
    assert_counters(batch, succeeded=2)
    assert_no_lease()


@pytest.mark.parametrize("stale_first", [True, False])
def test_of_two_changes_of_one_item_in_a_group_only_the_holders_counts(stale_first: bool) -> None:
    batch = new_batch(1)
    late = accepted(batch)
    expire(late.id)
    rescue.rescue()
    current = accepted(batch)
    group = [*changes(late, "failed"), *changes(current)]
    write(group if stale_first else group[::-1])
    assert statuses(batch) == ["succeeded"]
    assert_counters(batch, succeeded=1)
    assert ItemError.objects.count() == 0
    assert_no_lease()


def test_late_truth_wins_over_unknown_when_it_is_the_same_attempt() -> None:
    batch = new_batch(2, provider="once-only")
    late = accepted(batch)
    attempt_ids = [uuid.uuid4(), uuid.uuid4()]
    for item, attempt_id in zip(items(batch), attempt_ids, strict=True):
        Item.objects.filter(pk=item.pk).update(started_at=timezone.now(), attempt_id=attempt_id)
    expire(late.id)
    rescue.rescue()
    assert_counters(batch, unknown=2)
    same = change(late, late.items[0], idempotent=False, attempt_id=attempt_ids[0], provider_reference="SM1")
    other = change(late, late.items[1], idempotent=False, attempt_id=uuid.uuid4())
    write([same, other])
    assert statuses(batch) == ["succeeded", "unknown"]
    assert_counters(batch, succeeded=1, unknown=1)
    assert sum(number for _, number in Figures.of(batch).failures()) == 1  # of the two, one stands failed
    settled = items(batch)[0]
    assert (settled.result, settled.provider_reference, settled.error_code) == ({"answer": 42}, "SM1", "")


def test_late_truth_turns_a_failed_batch_into_a_completed_one() -> None:
    batch = new_batch(1, provider="once-only")
    late = accepted(batch)
    attempt_id = uuid.uuid4()
    Item.objects.update(started_at=timezone.now(), attempt_id=attempt_id)
    expire(late.id)
    rescue.rescue()
    Batch.objects.update(status="failed", completed_at=timezone.now())
    write([change(late, late.items[0], idempotent=False, attempt_id=attempt_id)])
    batch.refresh_from_db()
    assert batch.status == "completed"


def test_usage_counts_calls_and_what_ended() -> None:
    batch = new_batch(3)
    held = accepted(batch)
    one, two, three = held.items
    retried = change(held, three, "pending")
    write([change(held, one), change(held, two, "failed"), retried])
    assert [counted(measure) for measure in ("calls", "ended", "ended_badly")] == [3, 2, 1]
    today = timezone.now().date()
    (used,) = used_by(batch.owner_id, today - timedelta(days=1), today)
    assert (used.operation, used.items, used.failed, used.calls) == ("scripted", 2, 1, 3)


def test_a_lease_shrinks_and_ends_with_its_last_item() -> None:
    batch = new_batch(3)
    held = accepted(batch)
    group = changes(held)
    write(group[:2])
    assert Lease.objects.get().remaining == 1
    write(group[2:])
    assert_no_lease()


def test_an_account_is_closed_by_the_longest_wait_and_never_opened_earlier() -> None:
    batch = new_batch(3)
    held = accepted(batch)
    limited = [
        change(held, item, "pending", closes_account_seconds=seconds)
        for item, seconds in zip(held.items, [5.0, 60.0, 10.0], strict=True)
    ]
    write(limited[:2])
    closed_until = ProviderAccount.objects.get().closed_until
    assert closed_until is not None
    assert 55 < (closed_until - timezone.now()).total_seconds() <= 60
    write(limited[2:])
    assert ProviderAccount.objects.get().closed_until == closed_until


def test_one_outcome_that_cannot_be_stored_fails_alone(recording: Recording) -> None:
    batch = new_batch(50)
    held = accepted(batch)
    group = changes(held)
    group[17] = replace(group[17], result="no json")
    recording.record(group)
    assert statuses(batch).count("succeeded") == 49
    assert items(batch)[17].error_code == "unstorable_result"
    assert_counters(batch, succeeded=49, failed=1)
    assert_no_lease()


@pytest.mark.parametrize(
    "culprit",
    [
        {"closes_account_seconds": 1e15},
        {"status": "pending", "delay_seconds": 1e300},
        {"quality": float("nan")},
        {"quality": object()},
        {"duration_ms": 10**15},
        {"status": "failed", "fault": object()},
        {"status": "nonsense"},
        {"provider_reference": "x" * 101},
    ],
    ids="-".join,
)
def test_nothing_that_a_change_holds_ends_the_recorder(recording: Recording, culprit: dict[str, Any]) -> None:
    batch = new_batch(4)
    group = changes(accepted(batch))
    group[2] = replace(group[2], **culprit)
    recording.record(group)
    assert statuses(batch) == ["succeeded", "succeeded", "failed", "succeeded"]
    assert_counters(batch, succeeded=3, failed=1)
    recording.record(changes(accepted(new_batch(1))))


def test_a_message_that_was_sent_is_unknown_rather_than_failed_when_its_answer_cannot_be_stored(
    recording: Recording,
) -> None:
    batch = new_batch(1, provider="once-only")
    recording.record(changes(accepted(batch), result="no json", idempotent=False))
    assert_counters(batch, unknown=1)


def failing(times: int, error: Exception, *, after_commit: bool = False) -> Callable[[Sequence[Change]], Any]:
    """``write``, failing so many times first: before it does anything, or when everything is committed."""
    left = [times]

    def attempt(group: Sequence[Change]) -> Any:
        fails = left[0] > 0
        left[0] -= fails
        if fails and not after_commit:
            raise error
        facts = write(group)
        if fails:
            raise error
        return facts

    return attempt


@pytest.mark.parametrize("error", [OperationalError("gone"), InternalError("read-only: a replica")])
def test_outcomes_wait_for_the_database(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    batch = new_batch(5)
    monkeypatch.setattr(module, "write", failing(3, error))
    recording.record(changes(accepted(batch)))
    assert_counters(batch, succeeded=5)


def test_a_commit_whose_answer_was_lost_is_not_counted_twice(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = new_batch(5)
    monkeypatch.setattr(module, "write", failing(2, OperationalError("gone"), after_commit=True))
    recording.record(changes(accepted(batch)))
    assert_counters(batch, succeeded=5)
    assert_no_lease()


def test_a_connection_lost_amid_the_halving_writes_nothing_twice(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = new_batch(8)
    group = changes(accepted(batch))
    group[6] = replace(group[6], result="no json")
    writes = [0]

    def flaky(part: Sequence[Change]) -> Any:
        writes[0] += 1
        if writes[0] in {3, 5, 8}:
            raise OperationalError("gone")
        return write(part)

    monkeypatch.setattr(module, "write", flaky)
    recording.record(group)
    assert writes[0] > 8
    assert_counters(batch, succeeded=7, failed=1)
    assert counted("finished") == 8
    assert_no_lease()


def test_a_fault_that_is_not_the_datas_fails_nobody(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = new_batch(4)
    # A table that a migration is just replacing: even the plainest row is refused.
    monkeypatch.setattr(module, "write", failing(12, ProgrammingError("no such table")))
    recording.record(changes(accepted(batch)))
    assert_counters(batch, succeeded=4)


def test_items_that_were_deleted_meanwhile_are_no_trouble(recording: Recording) -> None:
    batch = new_batch(2)
    group = changes(accepted(batch))
    batch.delete()
    recording.record(group)
    assert len(recording.written) == 2


def test_facts_follow_the_commit(recording: Recording) -> None:
    batch = new_batch(2)
    recording.record(changes(accepted(batch)))
    assert [(fact.pk, fact.succeeded, fact.total) for fact in recording.facts] == [(batch.pk, 2, 2)]


def test_draining_waits_for_what_is_handed_over_while_it_waits(recording: Recording) -> None:
    batch = new_batch(200)
    group = changes(accepted(batch, size=200))

    def feed() -> None:
        for each in group:
            recording.recorder.put(each)
            gevent.sleep(0)

    feeding = gevent.spawn(feed)
    until(lambda: recording.written)
    feeding.join()
    assert recording.recorder.drain(10.0)
    assert_counters(batch, succeeded=200)


def test_items_of_many_batches_are_written_together() -> None:
    batches = [new_batch(2, owner=name) for name in ("alice", "bob", "carol")]
    write([each for batch in batches for each in changes(accepted(batch))])
    for batch in batches:
        assert_counters(batch, succeeded=2)


def test_an_unaccepted_lease_is_not_touched_by_another_leases_outcome() -> None:
    batch = new_batch(4)
    held = accepted(batch, 2)
    (other,) = lease(batch, 2)
    write(changes(held))
    assert Lease.objects.get().pk == other
