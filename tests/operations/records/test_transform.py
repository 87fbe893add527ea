"""Declared changes: their grammar, their effect on a record, and on many, once."""

from __future__ import annotations

import csv
import io
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from batches.models import Item
from batches.operations import get_operation
from batches.operations.records.record_changes import RowError, apply, touched
from batches.operations.records.record_chunks import CHUNK_RECORDS, MOST_AT_ONCE, place
from batches.outcomes import Snooze, Succeeded
from batches.result_files import result_files
from records.models import Record
from tests.operations.local_run import attempt, connection_kept, problems_of, record, run_batch, run_items, submitted

TAG = {"action": "add_tags", "tags": ["x"]}
TO = {"action": "convert", "field": "a"}
MAP_A = {"action": "map", "field": "a"}


def changed(changes: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
    """The values after the changes; those that are not given are empty."""
    empty: dict[str, Any] = {"title": "", "status": "active", "quality": None, "tags": [], "metadata": {}}
    return {name: value for name, value in apply(changes, {**empty, **values}).items() if value != empty[name]}


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ([{"action": "set", "field": "status", "value": "done"}], {}, {"status": "done"}),
        ([{"action": "set", "field": "due", "value": [1]}], {}, {"metadata": {"due": [1]}}),
        ([{"action": "set", "field": "metadata.status", "value": 1}], {}, {"metadata": {"status": 1}}),
        ([{"action": "set", "field": "tags", "value": ["a", "b", "a"]}], {}, {"tags": ["a", "b"]}),
        ([{"action": "rename", "field": "a", "to": "b"}], {"metadata": {"a": 1}}, {"metadata": {"b": 1}}),
        ([{"action": "rename", "field": "a", "to": "b"}], {"metadata": {"c": 1}}, {"metadata": {"c": 1}}),
        ([{"action": "rename", "field": "name", "to": "title"}], {"metadata": {"name": "N"}}, {"title": "N"}),
        ([{"action": "rename", "field": "title", "to": "name"}], {"title": "N"}, {"metadata": {"name": "N"}}),
        (
            [{"action": "rename", "field": "a", "to": "b", "overwrite": True}],
            {"metadata": {"a": 1, "b": 2}},
            {"metadata": {"b": 1}},
        ),
        ([{"action": "remove", "field": "a"}], {"metadata": {"a": 1, "b": 2}}, {"metadata": {"b": 2}}),
        ([{"action": "remove", "field": "title"}], {"title": "T"}, {}),
        ([{**MAP_A, "values": {"x": "y", "y": 1}}], {"metadata": {"a": "x"}}, {"metadata": {"a": "y"}}),
        ([{"action": "map", "field": "a", "values": {"1": "one"}}], {"metadata": {"a": 1}}, {"metadata": {"a": "one"}}),
        ([{"action": "map", "field": "a", "values": {"true": 1}}], {"metadata": {"a": True}}, {"metadata": {"a": 1}}),
        ([{"action": "map", "field": "a", "values": {"x": 1}}], {"metadata": {"a": "q"}}, {"metadata": {"a": "q"}}),
        ([{"action": "map", "field": "a", "values": {"x": 1}, "otherwise": "remove"}], {"metadata": {"a": "q"}}, {}),
        ([{"action": "map", "field": "a", "values": {"x": 1}, "otherwise": "fail"}], {}, {}),
        ([{**TO, "type": "number"}], {"metadata": {"a": " 12.50"}}, {"metadata": {"a": 12.5}}),
        ([{**TO, "type": "number"}], {"metadata": {"a": "-007"}}, {"metadata": {"a": -7}}),
        ([{**TO, "type": "number"}], {"metadata": {"a": 1, "b": "2"}}, {"metadata": {"a": 1, "b": "2"}}),
        ([{**TO, "type": "number"}], {"metadata": {"a": None}}, {"metadata": {"a": None}}),
        ([{**TO, "type": "boolean"}], {"metadata": {"a": "Yes"}}, {"metadata": {"a": True}}),
        ([{**TO, "type": "text"}], {"metadata": {"a": 1.5}}, {"metadata": {"a": "1.5"}}),
        ([TAG], {"tags": ["a", "x"]}, {"tags": ["a", "x"]}),
        ([{"action": "remove_tags", "tags": ["a"]}], {"tags": ["a", "x"]}, {"tags": ["x"]}),
        ([{"action": "move_tags", "tags": {"a": "b"}}], {"tags": ["a", "c", "b"]}, {"tags": ["b", "c"]}),
        (
            [{"action": "rename", "field": "a", "to": "b"}, {"action": "rename", "field": "c", "to": "a"}],
            {"metadata": {"a": 1, "c": 2}},
            {"metadata": {"b": 1, "a": 2}},
        ),
    ],
)  # fmt: skip
def test_a_change_does_what_it_says(
    owner: User, changes: list[dict[str, Any]], before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert problems_of("transform", {"changes": changes, "filters": {"x": 1}}) == {}
    assert changed(changes, **before) == after


@pytest.mark.parametrize(
    ("change", "before", "code"),
    [
        ({"action": "rename", "field": "a", "to": "b"}, {"metadata": {"a": 1, "b": 2}}, "exists"),
        ({"action": "rename", "field": "a", "to": "quality"}, {"metadata": {"a": "good"}}, "invalid_type"),
        ({"action": "rename", "field": "a", "to": "quality"}, {"metadata": {"a": 7}}, "out_of_range"),
        ({"action": "rename", "field": "a", "to": "title"}, {"metadata": {"a": "t" * 501}}, "too_long"),
        ({"action": "rename", "field": "status", "to": "a"}, {"metadata": {}}, "required"),
        (
            {"action": "map", "field": "a", "values": {"x": 1}, "otherwise": "fail"},
            {"metadata": {"a": "q"}},
            "unmapped",
        ),
        ({"action": "convert", "field": "a", "type": "number"}, {"metadata": {"a": "12,5"}}, "invalid_type"),
        ({"action": "convert", "field": "a", "type": "number"}, {"metadata": {"a": "1e999"}}, "invalid_type"),
        ({"action": "convert", "field": "a", "type": "number"}, {"metadata": {"a": True}}, "invalid_type"),
        ({"action": "convert", "field": "a", "type": "boolean"}, {"metadata": {"a": 1}}, "invalid_type"),
        ({"action": "add_tags", "tags": ["x"]}, {"tags": [str(number) for number in range(100)]}, "too_many"),
    ],
)
def test_what_cannot_be_done_is_said(change: dict[str, Any], before: dict[str, Any], code: str) -> None:
    with pytest.raises(RowError) as refused:
        changed([change], **before)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (None, {"changes": "required"}),
        ({}, {"changes": "invalid_type"}),
        ([], {"changes": "out_of_range"}),
        ([TAG] * 51, {"changes": "out_of_range"}),
        (["set"], {"changes.0": "invalid_type"}),
        ([{"action": "delete"}], {"changes.0.action": "invalid_choice"}),
        ([{"action": ["set"]}], {"changes.0.action": "invalid_choice"}),
        ([{"action": "set", "field": "a"}], {"changes.0.value": "required"}),
        ([{"action": "set", "value": 1}], {"changes.0.field": "required"}),
        ([{"action": "set", "field": "a", "value": 1, "vlaue": 2}], {"changes.0.vlaue": "unknown_field"}),
        ([{"action": "set", "field": "id", "value": 1}], {"changes.0.field": "read_only"}),
        ([{"action": "set", "field": "metadata", "value": {}}], {"changes.0.field": "invalid_name"}),
        ([{"action": "set", "field": "quality", "value": 2}], {"changes.0.value": "out_of_range"}),
        ([{"action": "set", "field": "memory_type", "value": "x"}], {"changes.0.value": "invalid_choice"}),
        ([{"action": "set", "field": "title", "value": None}], {"changes.0.value": "invalid_type"}),
        ([{"action": "set", "field": "status", "value": ""}], {"changes.0.value": "required"}),
        ([{"action": "set", "field": "a", "value": "\x00"}], {"changes.0.value": "invalid_text"}),
        ([{"action": "remove", "field": "status"}], {"changes.0.field": "read_only"}),
        ([{"action": "rename", "field": "a", "to": "metadata.a"}], {"changes.0.to": "contradiction"}),
        ([{"action": "rename", "field": "tags", "to": "a"}], {"changes.0": "not_available"}),
        ([{"action": "map", "field": "a", "values": {}}], {"changes.0.values": "invalid_type"}),
        ([{"action": "map", "field": "status", "values": {"a": 1}}], {"changes.0.values.a": "invalid_type"}),
        (
            [{"action": "map", "field": "a", "values": {"a": 1}, "otherwise": "x"}],
            {"changes.0.otherwise": "invalid_choice"},
        ),
        ([{**TO, "type": "date"}], {"changes.0.type": "invalid_choice"}),
        ([{"action": "convert", "field": "title", "type": "text"}], {"changes.0.field": "read_only"}),
        ([{"action": "add_tags", "tags": "x"}], {"changes.0.tags": "invalid_type"}),
        ([{"action": "add_tags", "tags": [1]}], {"changes.0.tags.0": "invalid_type"}),
        ([{"action": "move_tags", "tags": ["a"]}], {"changes.0.tags": "invalid_type"}),
        ([{"action": "move_tags", "tags": {"a": ""}}], {"changes.0.tags.a": "required"}),
    ],
)  # fmt: skip
def test_changes_that_make_no_sense_are_refused_by_path(changes: Any, problems: dict[str, str]) -> None:
    assert problems_of("transform", {"changes": changes}) == problems


def test_a_misspelt_option_and_a_bad_filter_are_refused() -> None:
    body = {"changes": [TAG], "filters": {"status": 5}, "options": {"batchsize": 5}}
    assert problems_of("transform", body) == {"filters.status": "invalid_type", "options.batchsize": "unknown_field"}


def test_only_the_columns_that_may_change_are_read() -> None:
    assert touched([{"action": "rename", "field": "a", "to": "title"}]) == {"metadata", "title"}
    assert touched([TAG]) == {"tags"}


def test_matching_records_are_changed_and_others_are_not(owner: User) -> None:
    other = User.objects.create_user("bob")
    mine = record(owner, status="pending", metadata={"catgory": "inv", "amount": 12.5}, tags=["old"])
    done = record(owner, status="done", metadata={"catgory": "inv"})
    foreign = record(other, status="pending", metadata={"catgory": "inv"})
    changes = [
        {"action": "rename", "field": "catgory", "to": "category"},
        {"action": "map", "field": "category", "values": {"inv": "invoice"}},
        {"action": "set", "field": "status", "value": "ready"},
        {"action": "move_tags", "tags": {"old": "new"}},
    ]
    _, outcome = run_batch(owner, "transform", {"filters": {"status": "pending"}, "changes": changes})
    assert outcome == {"matched": 1, "changed": 1, "unchanged": 0, "failed": 0, "files": []}
    before, mine = mine, Record.objects.get(pk=mine.pk)
    assert (mine.status, mine.tags, mine.metadata) == ("ready", ["new"], {"category": "invoice", "amount": 12.5})
    assert mine.updated_at > before.updated_at
    for untouched in (done, foreign):
        assert Record.objects.filter(pk=untouched.pk, updated_at=untouched.updated_at).exists()


def test_a_record_that_cannot_be_changed_stays_whole_and_is_named(owner: User) -> None:
    good = record(owner, metadata={"a": 0.5})
    bad = record(owner, metadata={"a": "=HYPERLINK()"})
    same = record(owner, quality=None)
    changes = [{"action": "rename", "field": "a", "to": "quality"}]
    batch, outcome = run_batch(owner, "transform", {"changes": changes})
    assert {name: outcome[name] for name in ("matched", "changed", "unchanged", "failed")} == {
        "matched": 3, "changed": 1, "unchanged": 1, "failed": 1,
    }  # fmt: skip
    [file] = result_files(batch)
    assert outcome["files"] == [{"fileId": file.public_id, "name": "errors.csv"}]
    rows = list(csv.reader(io.StringIO(file.content.read().decode())))
    assert rows == [
        ["id", "field", "code", "message"],
        [bad.public_id, "quality", "invalid_type", "Must be a number, or null."],
    ]
    assert (Record.objects.get(pk=good.pk).quality, Record.objects.get(pk=good.pk).metadata) == (0.5, {})
    assert Record.objects.get(pk=bad.pk).metadata == {"a": "=HYPERLINK()"}
    assert Record.objects.get(pk=same.pk).updated_at == same.updated_at


def test_numbers_and_truth_values_are_told_apart(owner: User) -> None:
    one = record(owner, metadata={"a": 1})
    run_batch(owner, "transform", {"changes": [{"action": "set", "field": "a", "value": True}]})
    assert Record.objects.get(pk=one.pk).metadata["a"] is True


def test_numbers_that_nobody_named_keep_their_digits(owner: User) -> None:
    kept = record(owner)
    digits = '{"exact": 12345678901234567890.12345, "huge": 123456789012345678901234567890}'
    with connection.cursor() as cursor:
        cursor.execute("UPDATE records_record SET metadata = %s::jsonb WHERE id = %s", [digits, kept.pk])
        run_batch(owner, "transform", {"changes": [{"action": "set", "field": "a", "value": 2**70}]})
        cursor.execute("SELECT (metadata - 'a')::text, metadata ->> 'a' FROM records_record WHERE id = %s", [kept.pk])
        assert cursor.fetchone() == (
            '{"huge": 123456789012345678901234567890, "exact": 12345678901234567890.12345}',
            str(2**70),
        )


def test_nothing_to_change_is_a_batch_that_is_done(owner: User) -> None:
    batch, outcome = run_batch(owner, "transform", {"changes": [TAG], "filters": {"status": "none"}})
    assert batch.total == 0
    assert outcome["matched"] == 0


def test_many_records_are_changed_in_chunks_and_none_twice(owner: User) -> None:
    number = 2 * CHUNK_RECORDS + 7
    Record.objects.bulk_create(Record(owner=owner, content="c", metadata={"n": i}) for i in range(number))
    batch = submitted(owner, "transform", {"changes": [{"action": "set", "field": "done", "value": True}]})
    items = list(batch.items.order_by("position").values_list("key", flat=True))
    assert items == [
        f"1-{CHUNK_RECORDS}",
        f"{CHUNK_RECORDS + 1}-{2 * CHUNK_RECORDS}",
        f"{2 * CHUNK_RECORDS + 1}-{number}",
    ]
    record(owner, metadata={"late": True})  # came after the batch was made
    outcomes = run_items(batch)
    matched = [outcome.result["matched"] for outcome in outcomes if isinstance(outcome, Succeeded)]
    assert matched == [CHUNK_RECORDS, CHUNK_RECORDS, 7]
    assert Record.objects.filter(metadata__done=True).count() == number


SWAP = [
    {"action": "rename", "field": "a", "to": "spare"},
    {"action": "rename", "field": "b", "to": "a"},
    {"action": "rename", "field": "spare", "to": "b"},
]


def test_an_item_that_runs_again_changes_nothing_more(owner: User) -> None:
    swapped = record(owner, metadata={"a": 1, "b": 2})
    batch = submitted(owner, "transform", {"changes": SWAP})
    [first] = run_items(batch)
    # The worker died before its outcome was committed: the item is pending again, as the rescue leaves it.
    batch.items.update(status="pending", result=None, finished_at=None)
    [second] = run_items(batch)
    assert first == second
    assert Record.objects.get(pk=swapped.pk).metadata == {"a": 2, "b": 1}


@pytest.mark.django_db(transaction=True)
def test_two_attempts_at_the_same_time_change_it_once() -> None:
    owner = User.objects.create_user("alice")
    swapped = record(owner, metadata={"a": 1, "b": 2})
    batch = submitted(owner, "transform", {"changes": SWAP})
    item = batch.items.select_related("batch").get()
    given = attempt(item)
    outcomes: list[Any] = []

    def run() -> None:
        try:
            outcomes.append(get_operation("transform").run(given))
        finally:
            connection.close()

    with connection.cursor() as cursor:  # both wait for the record, and go on when they are let
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM records_record WHERE id = %s FOR UPDATE", [swapped.pk])
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        until, waiting = time.monotonic() + 10, 0
        while waiting < 2 and time.monotonic() < until:
            time.sleep(0.02)
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            [waiting] = cursor.fetchone()
        cursor.execute("COMMIT")
        assert waiting == 2
    for thread in threads:
        thread.join()
    assert [outcome.result["changed"] for outcome in outcomes] == [1, 1]
    assert Record.objects.get(pk=swapped.pk).metadata == {"a": 2, "b": 1}


def test_an_item_that_was_cancelled_meanwhile_changes_nothing(owner: User) -> None:
    kept = record(owner, metadata={"a": 1})
    batch = submitted(owner, "transform", {"changes": SWAP})
    item = batch.items.select_related("batch").get()
    given = attempt(item)
    Item.objects.filter(pk=item.pk).update(status="cancelled", lease_id=None, finished_at=batch.created_at)
    with connection_kept():
        assert isinstance(get_operation("transform").run(given), Snooze)
    assert Record.objects.get(pk=kept.pk).metadata == {"a": 1}


def test_a_preview_shows_before_and_after_and_changes_nothing(owner: User) -> None:
    first = record(owner, metadata={"a": 1}, title="T")
    record(owner, metadata={"b": 1})
    broken = record(owner, metadata={"a": "x"})
    operation = get_operation("transform")
    new = operation.build(owner.pk, {"changes": [{"action": "rename", "field": "a", "to": "quality"}]})
    preview = operation.preview(owner.pk, new)
    assert {name: preview[name] for name in ("matched", "examined", "wouldChange", "wouldFail")} == {
        "matched": 3, "examined": 3, "wouldChange": 1, "wouldFail": 1,
    }  # fmt: skip
    shown = preview["examples"]
    assert shown[0] == {
        "id": first.public_id,
        "before": {"metadata": {"a": 1}, "quality": None},
        "after": {"metadata": {}, "quality": 1},
        "error": None,
    }
    assert shown[1]["before"] == shown[1]["after"]
    assert (shown[2]["id"], shown[2]["error"]["code"]) == (broken.public_id, "invalid_type")
    assert Record.objects.get(pk=first.pk).metadata == {"a": 1}


def test_a_chunk_that_finds_its_worker_busy_comes_back_and_has_spent_nothing(owner: User) -> None:
    kept = record(owner, metadata={"a": 1})
    item = submitted(owner, "transform", {"changes": SWAP}).items.select_related("batch").get()
    given = attempt(item, timeout_seconds=0.1)
    with connection_kept(), ExitStack() as places:
        for _ in range(MOST_AT_ONCE):
            places.enter_context(place())
        assert isinstance(get_operation("transform").run(given), Snooze)
    assert Record.objects.get(pk=kept.pk).metadata == {"a": 1}
    with connection_kept():
        assert isinstance(get_operation("transform").run(given), Succeeded)
