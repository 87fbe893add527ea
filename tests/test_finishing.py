"""Items in pages, and what is made of all of them: both survive whatever dies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.db.models.functions import Now

from batches import finishing, loading, retention, services
from batches.dispatching.settle import settle, sweep_cancelled
from batches.files import file_content
from batches.models import Batch, Notification, StoredFile
from batches.operations import get_operation
from batches.result_files import result_files, store_result
from batches.running.recorder import write
from batches.services import submit_batch
from tests import scripted_operations
from tests.engine.ledger import accepted, assert_counters, changes
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def scripted(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.OPERATIONS = {**settings.OPERATIONS, **scripted_operations.OPERATIONS}
    settings.MEDIA_ROOT = tmp_path / "files"
    yield
    get_operation.cache_clear()


@pytest.fixture
def alice() -> User:
    return User.objects.create(username="alice")


def submit(owner: User, number: int, *, finish: str = "write", **payload: Any) -> Batch:
    body = {"number": number, "finish": finish, **payload}
    return submit_batch(owner_id=owner.pk, new=get_operation("count").build(owner.pk, body))


def load_all() -> list[int]:
    chunks = []
    while Batch.objects.filter(loaded_at=None).exists():
        chunks.append(loading.load_chunk())
    return chunks


def end_all(batch: Batch, status: str = "succeeded") -> None:
    """What the worker would do with its items."""
    write(changes(accepted(batch), status))
    batch.refresh_from_db()


def finish_due() -> None:
    for batch_id in finishing.ring():
        finishing.finish_batch(batch_id)


# --- Items in pages


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "CHUNK_LINES", 10)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("number", "pages"), [(25, [10, 10, 5]), (20, [10, 10]), (3, [3]), (0, [0])])
def test_items_are_loaded_page_by_page(alice: User, number: int, pages: list[int]) -> None:
    batch = submit(alice, number)
    assert (batch.total, batch.items.count(), batch.loaded_at) == (number, 0, None)
    assert load_all() == pages
    batch.refresh_from_db()
    rows = list(batch.items.order_by("position").values_list("position", "key"))
    assert rows == [(place, f"number-{place}") for place in range(number)]
    assert (batch.total, batch.loaded_at is not None) == (number, True)


@pytest.mark.usefixtures("small_pages")
def test_a_load_that_was_cut_off_asks_for_the_same_page_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = submit(alice, 25)
    loading.load_chunk()
    with monkeypatch.context() as broken:
        broken.setattr(Batch.objects, "filter", _cut_off_after_the_copy(batch))
        with pytest.raises(ZeroDivisionError):
            loading.load_chunk()
    assert batch.items.count() == 10
    assert load_all() == [10, 5]
    assert list(batch.items.order_by("position").values_list("key", flat=True)) == [f"number-{i}" for i in range(25)]


def _cut_off_after_the_copy(batch: Batch) -> Any:
    """The process dies between the items of a page and its cursor."""
    original = Batch.objects.filter

    def filter_batches(*args: Any, **kwargs: Any) -> Any:
        if kwargs == {"pk": batch.pk}:
            assert batch.items.count() == 20  # the copy is there, uncommitted
            raise ZeroDivisionError
        return original(*args, **kwargs)

    return filter_batches


@pytest.mark.usefixtures("small_pages")
def test_more_items_than_were_expected_are_counted_as_they_come(alice: User) -> None:
    batch = submit(alice, 25)
    Batch.objects.filter(pk=batch.pk).update(total=3)
    loading.load_chunk()
    batch.refresh_from_db()
    assert batch.total == 10
    load_all()
    batch.refresh_from_db()
    assert batch.total == 25


@pytest.mark.usefixtures("small_pages")
def test_a_source_that_breaks_lets_what_was_loaded_run_and_keeps_nobody_waiting(alice: User) -> None:
    broken, fine = submit(alice, 25, finish="break the source"), submit(alice, 5)
    load_all()
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.total, broken.error) == (10, "Its items cannot be read any more.")
    assert fine.total == fine.items.count() == 5


@pytest.mark.usefixtures("small_pages")
def test_a_fault_of_the_database_is_none_of_the_source(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = submit(alice, 5)
    with monkeypatch.context() as broken:
        broken.setattr(scripted_operations.Count, "next_items", _raise(OperationalError()))
        with pytest.raises(OperationalError):
            loading.load_chunk()
    assert load_all() == [5]
    batch.refresh_from_db()
    assert batch.error == ""


def _raise(error: Exception) -> Any:
    def raising(*args: Any, **kwargs: Any) -> Any:
        raise error

    return raising


def test_a_dry_run_shows_the_first_items(alice: User) -> None:
    operation = get_operation("count")
    preview = operation.preview(alice.pk, operation.build(alice.pk, {"number": 1000}))
    assert preview["total"] == 1000
    assert preview["items"][:2] == [{"id": "number-0", "number": 0}, {"id": "number-1", "number": 1}]
    assert len(preview["items"]) == 10


# --- Finishing


def ended(owner: User, number: int = 3, **payload: Any) -> Batch:
    """A batch whose items are all final."""
    batch = submit(owner, number, **payload)
    load_all()
    if number:
        end_all(batch)
    return batch


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
        broken.setattr(scripted_operations.Count, "finish", _raise(OperationalError()))
        with pytest.raises(OperationalError):
            finishing.finish_batch(batch.pk)
    batch.refresh_from_db()
    assert (batch.status, batch.finish_attempts) == ("running", 0)


# --- Result files


def test_a_result_replaces_the_one_of_the_same_name(alice: User) -> None:
    batch = submit(alice, 1)
    for content in (b"old", b"new"):
        store_result(batch, "report.csv", "text/csv", ContentFile(content))
    store_result(batch, "other.csv", "text/csv", ContentFile(b"other"))
    assert [(one.name, one.size, one.for_batch) for one in result_files(batch)] == [
        ("report.csv", 3, True),
        ("other.csv", 5, True),
    ]
    assert [file_content(alice.pk, one.public_id) for one in result_files(batch)] == [b"new", b"other"]
    assert sum(len(files) for _, _, files in _walk()) == 2


@pytest.mark.parametrize("killed_before", ["_put_in_place", "discard_files"])
def test_a_process_that_is_killed_while_it_keeps_a_result_leaves_nothing_that_nobody_finds(
    alice: User, monkeypatch: pytest.MonkeyPatch, killed_before: str
) -> None:
    batch = submit(alice, 1)
    store_result(batch, "report.csv", "text/csv", ContentFile(b"old"))
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(f"batches.result_files.{killed_before}", lambda *_: 1 / 0)
        store_result(batch, "report.csv", "text/csv", ContentFile(b"new"))

    (kept,) = result_files(batch)
    assert file_content(alice.pk, kept.public_id) == (b"new" if killed_before == "discard_files" else b"old")
    StoredFile.objects.update(created_at=Now() - timedelta(hours=2))
    assert retention.sweep_orphaned_files() == 1
    assert [name for _, _, files in _walk() for name in files] == [kept.public_id]
    assert list(result_files(batch)) == [kept]


def _walk() -> Iterator[Any]:
    return os.walk(default_storage.location)  # type: ignore[attr-defined]


# --- Telling the owner


@pytest.mark.parametrize(("wanted", "number"), [(True, 1), (False, 0)])
def test_the_owner_is_told_once_when_they_asked(alice: User, wanted: bool, number: int) -> None:
    batch = submit(alice, 3, options={"notifyOnComplete": wanted}, name="Counting")
    load_all()
    end_all(batch)
    finish_due()
    finish_due()
    settle()
    assert Notification.objects.count() == number
    if wanted:
        told = Notification.objects.get()
        assert (told.owner_id, told.kind, told.read_at) == (alice.pk, "batch_completed", None)
        assert told.details == {
            "batchId": batch.public_id,
            "name": "Counting",
            "operation": "count",
            "status": "completed",
            "total": 3,
            "succeeded": 3,
            "failed": 0,
            "cancelled": 0,
        }


def test_also_of_batches_that_end_otherwise(alice: User) -> None:
    cancelled = submit(alice, 3, notifyOnComplete=True)
    load_all()
    services.cancel(cancelled, actor_id=None)
    sweep_cancelled()
    settle()
    settle()
    assert [told.details["status"] for told in Notification.objects.all()] == ["cancelled"]


# --- All of it, with real processes


def test_a_worker_killed_while_finishing_leaves_one_file(
    alice: User, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The first worker is killed in ``finish``; the next one starts over, and the batch is completed once."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"
    variables = {"DJANGO_SETTINGS_MODULE": "tests.scripted_settings"}
    with Engine(sandbox, tmp_path, **variables) as engine:
        engine.start(workers=1)
        batch = submit(alice, 30, finish=f"die once:{tmp_path / 'died'}", notifyOnComplete=True)
        deadline = time.monotonic() + 60
        while not (tmp_path / "died").exists():
            assert time.monotonic() < deadline, engine.output()
            time.sleep(0.05)
        engine.wait_until_seen(engine.start_worker())
        Batch.objects.filter(pk=batch.pk).update(finish_due_at="2020-01-01T00:00:00Z")  # rather than wait half a minute
        while Batch.objects.filter(pk=batch.pk, settled_at=None).exists():
            assert time.monotonic() < deadline, engine.output()
            time.sleep(0.05)
    batch.refresh_from_db()
    assert (batch.status, batch.succeeded, batch.failed, batch.finish_attempts) == ("completed", 29, 1, 1)
    (stored,) = result_files(batch)
    assert len(file_content(alice.pk, stored.public_id).splitlines()) == 30
    assert StoredFile.objects.count() == 1
    assert Notification.objects.count() == 1
    assert_counters(batch, succeeded=29, failed=1)
