"""What is made of all items of a batch: once, by one, and again by another where somebody died."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import OperationalError

from batches import finishing, services
from batches.dispatching.settle import settle, sweep_cancelled
from batches.files import file_content
from batches.models import Batch
from batches.result_files import result_files
from tests import scripted_operations
from tests.finishing.conftest import end_all, ended, finish_due, load_all, raising, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("number", [3, 0])
def test_a_batch_is_completed_when_its_file_is_there(alice: User, number: int) -> None:
    batch = ended(alice, number)
    assert settle() == []
    batch.refresh_from_db()
    assert (batch.status, batch.is_finishing) == ("running", False)

    assert finishing.ring() == [batch.pk]
    batch.refresh_from_db()
    assert (batch.status, batch.is_finishing) == ("running", True)
    assert finishing.ring() == []  # somebody was rung for

    finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    (stored,) = result_files(batch)
    assert (batch.status, batch.is_finishing, batch.error) == ("completed", False, "")
    assert batch.outcome == {"file": stored.public_id, "lines": number}
    assert len(file_content(alice.pk, stored.public_id).splitlines()) == number
    assert finishing.ring() == []
    finishing.finish_batch(batch.pk)  # a message that comes twice
    assert result_files(batch).count() == 1


def test_nobody_finishes_what_is_not_over(alice: User) -> None:
    batch = submit(alice, 3)
    assert finishing.ring() == []
    load_all()
    assert finishing.ring() == []
    finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    assert batch.status == "running"


def test_items_that_all_failed_make_a_failed_batch_with_a_file(alice: User) -> None:
    batch = submit(alice, 2)
    load_all()
    end_all(batch, "failed")
    finish_due()
    batch.refresh_from_db()
    assert (batch.status, result_files(batch).count()) == ("failed", 1)


def test_a_worker_that_died_is_followed_by_another(alice: User) -> None:
    batch = ended(alice)
    finishing.ring()
    assert finishing._change(finishing._CLAIM, "00000000-0000-0000-0000-000000000001", batch.pk)  # and dies
    finishing.finish_batch(batch.pk)  # a second message: the claim holds
    assert not result_files(batch).exists()
    assert finishing.ring() == []

    Batch.objects.filter(pk=batch.pk).update(finish_due_at="2020-01-01T00:00:00Z")  # it was not renewed
    finish_due()
    batch.refresh_from_db()
    assert (batch.status, batch.finish_attempts) == ("completed", 1)


def test_a_claim_is_renewed_while_the_work_goes_on(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ended(alice)
    finishing.ring()
    monkeypatch.setattr(finishing, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(scripted_operations.Count, "finish", _finish_after_a_renewal)
    finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    assert batch.outcome == {"renewed": True}


def _finish_after_a_renewal(self: Any, batch: Batch) -> dict[str, Any]:
    """As if the claim were about to lapse: somebody must push its end away."""
    Batch.objects.filter(pk=batch.pk).update(finish_due_at="2020-01-01T00:00:00Z")
    deadline = time.monotonic() + 10
    while Batch.objects.get(pk=batch.pk).finish_due_at.year == 2020 and time.monotonic() < deadline:  # type: ignore[union-attr]
        time.sleep(0.02)
    return {"renewed": Batch.objects.get(pk=batch.pk).finish_due_at.year > 2020}  # type: ignore[union-attr]


def test_a_late_finisher_changes_nothing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim lapsed, another one began: only the one that holds the claim settles."""
    batch = ended(alice)
    finishing.ring()

    def overtaken(self: Any, batch: Batch) -> dict[str, Any]:
        Batch.objects.filter(pk=batch.pk).update(finish_claim="00000000-0000-0000-0000-000000000002")
        return {"late": True}

    monkeypatch.setattr(scripted_operations.Count, "finish", overtaken)
    finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    assert (batch.status, batch.outcome) == ("running", None)


def test_retrying_failed_items_makes_it_all_anew(alice: User) -> None:
    batch = submit(alice, 2)
    load_all()
    end_all(batch, "failed")
    finish_due()
    (first,) = result_files(batch)
    services.retry_failed(batch, actor_id=None)
    batch.refresh_from_db()
    assert (batch.status, batch.outcome, batch.is_finishing) == ("running", None, False)
    end_all(batch)
    finish_due()
    batch.refresh_from_db()
    (second,) = result_files(batch)
    assert batch.status == "completed"
    assert second.public_id != first.public_id
    assert not default_storage.exists(str(first.content.name))


def test_a_cancelled_batch_is_not_finished(alice: User) -> None:
    batch = submit(alice, 5)
    load_all()
    services.cancel(batch, actor_id=None)
    sweep_cancelled()
    assert finishing.ring() == []
    assert [fact.status for fact in settle()] == ["cancelled"]
    assert not result_files(batch).exists()


def test_one_cancelled_while_it_is_finished_stays_cancelled(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ended(alice)
    finishing.ring()

    def cancelled_meanwhile(self: Any, batch: Batch) -> dict[str, Any]:
        services.cancel(batch, actor_id=None)
        return {}

    monkeypatch.setattr(scripted_operations.Count, "finish", cancelled_meanwhile)
    finishing.finish_batch(batch.pk)
    assert [fact.status for fact in settle()] == ["cancelled"]


def test_an_operation_may_say_that_it_cannot_be_finished(alice: User) -> None:
    batch = ended(alice, finish="refuse")
    finish_due()
    batch.refresh_from_db()
    assert (batch.status, batch.error, batch.succeeded) == ("failed", "There is nothing to write.", 3)


def test_a_bug_is_tried_again_and_then_given_up(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    batch = ended(alice, finish="break")
    for attempt in range(finishing.MOST_ATTEMPTS):
        assert finishing.ring() == [batch.pk]
        finishing.finish_batch(batch.pk)
        batch.refresh_from_db()
        assert (batch.status, batch.finish_attempts) == ("running", attempt + 1)
        assert finishing.ring() == []  # not at once
        Batch.objects.filter(pk=batch.pk).update(finish_due_at="2020-01-01T00:00:00Z")
    finish_due()
    batch.refresh_from_db()
    assert (batch.status, batch.error) == ("failed", finishing.GAVE_UP)
    assert "ValueError" in caplog.text
    assert "a bug" not in caplog.text


def test_a_fault_of_the_database_is_not_a_try(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ended(alice)
    finishing.ring()
    with monkeypatch.context() as broken:
        broken.setattr(scripted_operations.Count, "finish", raising(OperationalError()))
        with pytest.raises(OperationalError):
            finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    assert (batch.status, batch.finish_attempts) == ("running", 0)
