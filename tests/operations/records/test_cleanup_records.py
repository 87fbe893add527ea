"""Cleanups: what goes, what stays, and what a dry run says before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from batches.models import AuditEntry
from batches.operations import get_operation
from batches.operations.records import record_chunks as chunks
from batches.outcomes import Succeeded
from batches.problems import InvalidInput
from records.models import Record
from tests.operations.by_hand import do_all_here, finished, load
from tests.operations.conftest import Answering
from tests.operations.submitted import attempt_on

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    do_all_here(monkeypatch)


def record(owner: User, key: str, *, created: int = 0, updated: int = 0, **fields: Any) -> Record:
    """A record that was created and changed so many days ago."""
    now = timezone.now()
    made = Record.objects.create(owner=owner, key=key, content="C", **fields)
    Record.objects.filter(pk=made.pk).update(
        created_at=now - timedelta(days=created), updated_at=now - timedelta(days=updated)
    )
    return made


def left(owner: User) -> set[str | None]:
    return set(Record.objects.filter(owner=owner).values_list("key", flat=True))


def test_what_matches_goes_and_nothing_of_others(owner: User) -> None:
    bob = User.objects.create_user("bob")
    for one in (owner, bob):
        record(one, "old", created=50, updated=40, status="archived")
        record(one, "young", created=50, updated=5, status="archived")
        record(one, "used", created=50, updated=40, status="active")
    _, outcome = finished(owner.pk, "cleanup", {"filters": {"status": "archived"}, "olderThanDays": 30})
    assert outcome == {"deleted": 1}
    assert left(owner) == {"young", "used"}
    assert left(bob) == {"old", "young", "used"}


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("cleanup", {"olderThanDays": 30}),
        ("export", {}),
        ("transform", {"changes": [{"action": "set", "field": "status", "value": "active"}]}),
        ("validate", {"schema": {}}),
    ],
)
def test_who_chooses_nothing_is_told(owner: User, name: str, payload: Mapping[str, Any]) -> None:
    record(owner, "old", created=50, updated=40, status="archived")
    everything = get_operation(name).build(owner.pk, payload)
    nothing = get_operation(name).build(owner.pk, {**payload, "filters": {"status": "none"}})
    assert list(everything.warnings) == []
    assert list(nothing.warnings) == ["No record matches: the batch has nothing to do."]


def test_the_age_may_be_since_the_creation(owner: User) -> None:
    record(owner, "old", created=50, updated=1)
    record(owner, "young", created=10, updated=1)
    finished(owner.pk, "cleanup", {"olderThanDays": 30, "age": "created"})
    assert left(owner) == {"young"}


def test_all_means_all(owner: User) -> None:
    record(owner, "a")
    finished(owner.pk, "cleanup", {"all": True})
    assert left(owner) == set()


def test_what_was_changed_since_stays(owner: User) -> None:
    record(owner, "old", updated=40)
    touched = record(owner, "touched", updated=40)
    batch = load(owner.pk, "cleanup", {"olderThanDays": 30})
    Record.objects.filter(pk=touched.pk).update(updated_at=timezone.now())
    get_operation("cleanup").run(attempt_on(batch.items.get(), Answering()))
    assert left(owner) == {"touched"}


def test_chunks_and_a_second_run_count_each_record_once(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_RECORDS", 2)
    for number in range(5):
        record(owner, f"k{number}")
    batch = load(owner.pk, "cleanup", {"all": True})
    outcomes = [get_operation("cleanup").run(attempt_on(item, Answering())) for item in batch.items.all()]
    again = [get_operation("cleanup").run(attempt_on(item, Answering())) for item in batch.items.all()]
    assert outcomes == again == [Succeeded({"deleted": number}) for number in (2, 2, 1)]


def test_it_leaves_one_audit_row_however_often_it_is_finished(owner: User) -> None:
    record(owner, "a", status="archived")
    batch, _ = finished(owner.pk, "cleanup", {"filters": {"status": "archived"}})
    get_operation("cleanup").finish(batch)
    [entry] = AuditEntry.objects.filter(action="delete_records")
    assert (entry.owner_id, entry.batch_id) == (owner.pk, batch.pk)
    assert entry.details == {"deleted": 1, "filters": ["status"], "before": None}


def test_a_dry_run_says_how_many_and_shows_some(owner: User) -> None:
    for number in range(12):
        record(owner, f"k{number}", updated=40 + number, title="x" * 300)
    new = get_operation("cleanup").build(owner.pk, {"olderThanDays": 30})
    preview = get_operation("cleanup").preview(owner.pk, new)
    assert (preview["total"], len(preview["items"])) == (12, 10)
    assert preview["oldest"] < preview["newest"]
    assert (preview["items"][0]["key"], len(preview["items"][0]["title"])) == ("k0", 200)
    assert len(left(owner)) == 12


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, ("filters", "required")),
        ({"filters": {}}, ("filters", "required")),
        ({"all": False}, ("filters", "required")),
        ({"all": 1}, ("all", "invalid_type")),
        ({"olderThanDays": -1}, ("olderThanDays", "out_of_range")),
        ({"olderThanDays": True}, ("olderThanDays", "invalid_type")),
        ({"olderThanDays": 1, "age": "old"}, ("age", "invalid_choice")),
        ({"olderThanDays": 1, "days": 1}, ("days", "unknown_field")),
    ],
)
def test_what_is_refused(owner: User, fields: Mapping[str, Any], problem: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        get_operation("cleanup").build(owner.pk, fields)
    assert problem in [(one.path, one.code) for one in refused.value.problems]
