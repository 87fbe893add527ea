"""Items that an operation reads page by page: whatever is cut off asks for the same page again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from batches import loading
from batches.models import Batch
from batches.operations import get_operation
from tests import scripted_operations
from tests.finishing.conftest import load_all, raising, submit

pytestmark = pytest.mark.django_db(transaction=True)


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
        broken.setattr(scripted_operations.Count, "next_items", raising(OperationalError()))
        with pytest.raises(OperationalError):
            loading.load_chunk()
    assert load_all() == [5]
    batch.refresh_from_db()
    assert batch.error == ""


def test_a_dry_run_shows_the_first_items(alice: User) -> None:
    operation = get_operation("count")
    preview = operation.preview(alice.pk, operation.build(alice.pk, {"number": 1000}))
    assert preview["total"] == 1000
    assert preview["items"][:2] == [{"id": "number-0", "number": 0}, {"id": "number-1", "number": 1}]
    assert len(preview["items"]) == 10
