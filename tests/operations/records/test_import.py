"""Imports: what a file's columns mean, what is refused and where, and that nothing doubles."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from batches.files import Upload, file_content, store_uploads
from batches.models import Batch, StoredFile
from batches.operations import CannotFinish, get_operation
from batches.operations.records import import_records as module
from batches.outcomes import Rejected, Snooze
from batches.problems import InvalidInput
from records.models import Record, Topic
from tests.operations.by_hand import do_all_here, results, run_all
from tests.operations.conftest import Answering
from tests.operations.submitted import attempt_on, submitted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    do_all_here(monkeypatch)


def uploaded(owner: User, content: bytes, name: str = "records.csv") -> str:
    """The id of a stored file."""
    return store_uploads(owner.pk, [Upload(name, "text/csv", ContentFile(content))])[0].public_id


def csv_of(*rows: Sequence[object]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def lines_of(*rows: Mapping[str, Any]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def imported(owner: User, content: bytes, name: str = "records.csv", **fields: Any) -> Batch:
    """A batch of which every item was run, by hand."""
    return run_all(submitted(owner.pk, "import", {"fileId": uploaded(owner, content, name), **fields}))


def errors_of(batch: Batch) -> list[tuple[int, str, str]]:
    errors = [error for result in results(batch) for error in result["errors"]]
    return [(error["row"], error["column"], error["code"]) for error in errors]


def counts_of(batch: Batch) -> tuple[int, int, int]:
    """Created, updated, failed."""
    created, updated, failed = (sum(one[name] for one in results(batch)) for name in ("created", "updated", "failed"))
    return created, updated, failed


def problems_of(owner: User, content: bytes, name: str = "records.csv", **fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        get_operation("import").build(owner.pk, {"fileId": uploaded(owner, content, name), **fields})
    return {problem.path: problem.code for problem in refused.value.problems}


def test_columns_have_the_names_of_fields_or_become_metadata(owner: User) -> None:
    header = [
        "Key",
        "Title",
        "content",
        "Tags",
        "status",
        "kind",
        "Memory Type",
        "metadata.size",
        "Category",
        "quality",
    ]
    row = ["k1", "Invoice", "Pay me", "a, b", "pending", "node", "reference", "5", "invoice", "0.5"]
    imported(owner, csv_of(header, row))
    record = Record.objects.get()
    assert (record.key, record.title, record.content, record.tags) == ("k1", "Invoice", "Pay me", ["a", "b"])
    assert (record.status, record.kind, record.memory_type) == ("pending", "node", "reference")
    assert record.metadata == {"size": 5, "Category": "invoice"}
    assert (record.quality, record.owner_id) == (0.5, owner.pk)


def test_a_new_record_says_nothing_where_its_row_says_nothing(owner: User) -> None:
    imported(owner, csv_of(["content", "status", "tags", "metadata.a"], ["text", "", "", ""]))
    record = Record.objects.get()
    assert (record.kind, record.status, record.tags, record.metadata) == ("memory", "active", [], {})


def test_a_status_that_no_memory_has_makes_a_node(owner: User) -> None:
    imported(owner, csv_of(["content", "status"], ["a", "pending"], ["b", "archived"]))
    assert list(Record.objects.order_by("content").values_list("kind", flat=True)) == ["node", "memory"]


def test_columns_and_defaults_of_the_request(owner: User) -> None:
    content = csv_of(["Betreff", "Text", "Nr", "Geheim", "Ort"], ["T", "C", "7", "x", ""])
    columns = {"Betreff": "title", "Text": "content", "Nr": "key", "Geheim": None, "Ort": "metadata.city"}
    defaults = {"kind": "node", "tags": ["new"], "metadata.city": "Bonn", "metadata.source": {"file": 1}}
    imported(owner, content, columns=columns, defaults=defaults)
    record = Record.objects.get()
    assert (record.title, record.content, record.key, record.kind, record.tags) == ("T", "C", "7", "node", ["new"])
    assert record.metadata == {"city": "Bonn", "source": {"file": 1}}


def test_rows_of_the_same_key_change_the_record_that_is_there(owner: User) -> None:
    imported(owner, csv_of(["key", "title", "content", "metadata.a", "metadata.b"], ["k", "T", "C", "1", "2"]))
    record = Record.objects.get()
    batch = imported(owner, csv_of(["key", "content", "metadata.b", "metadata.c"], ["k", "D", "3", "x"]))
    changed = Record.objects.get()
    assert (changed.pk, changed.title, changed.content) == (record.pk, "T", "D")
    assert changed.metadata == {"a": 1, "b": 3, "c": "x"}
    assert changed.updated_at > record.updated_at
    assert counts_of(batch) == (0, 1, 0)


def test_a_whole_metadata_replaces_what_is_there(owner: User) -> None:
    imported(owner, csv_of(["key", "content", "metadata"], ["k", "C", '{"a": 1}']))
    imported(owner, csv_of(["key", "metadata"], ["k", '{"b": [2, null]}']))
    assert Record.objects.get().metadata == {"b": [2, None]}


def test_an_id_of_ours_names_its_record_and_a_foreign_one_becomes_the_key(owner: User) -> None:
    mine = Record.objects.create(owner=owner, content="old")
    batch = imported(owner, csv_of(["id", "content"], [mine.public_id, "new"], ["17", "other"]))
    assert counts_of(batch) == (1, 1, 0)
    assert {(one.pk == mine.pk, one.key, one.content) for one in Record.objects.all()} == {
        (True, None, "new"),
        (False, "17", "other"),
    }


def test_the_record_of_another_owner_is_none(owner: User) -> None:
    bob = User.objects.create_user("bob")
    his = Record.objects.create(owner=bob, content="his", key="k")
    imported(owner, csv_of(["id", "key", "content"], [his.public_id, "k", "mine"]))
    his.refresh_from_db()
    assert his.content == "his"
    assert Record.objects.get(owner=owner).content == "mine"


def test_rows_without_a_key_do_not_double(owner: User) -> None:
    content = csv_of(["content"], ["same"], ["same"])
    batch = imported(owner, content)
    assert counts_of(batch) == (2, 0, 0)
    assert counts_of(imported(owner, content)) == (0, 2, 0)
    assert Record.objects.count() == 2


def test_an_item_that_runs_again_says_the_same_and_writes_nothing(owner: User) -> None:
    batch = submitted(owner.pk, "import", {"fileId": uploaded(owner, csv_of(["key", "content"], ["k", "C"]))})
    item = batch.items.get()
    first = get_operation("import").run(attempt_on(item, Answering()))
    Record.objects.update(content="changed since")
    assert get_operation("import").run(attempt_on(item, Answering())) == first
    assert Record.objects.get().content == "changed since"


def test_an_item_that_was_cancelled_writes_nothing(owner: User) -> None:
    batch = submitted(owner.pk, "import", {"fileId": uploaded(owner, csv_of(["content"], ["C"]))})
    batch.items.update(status="cancelled", finished_at=batch.created_at)
    assert get_operation("import").run(attempt_on(batch.items.get(), Answering())) == Snooze()
    assert not Record.objects.exists()


def test_errors_name_the_row_and_the_column(owner: User) -> None:
    topic = Topic.objects.create(owner=owner, name="mine")
    header = ["key", "Titel", "content", "quality", "memory_type", "created_at", "topic_id", "metadata", "metadata.x"]
    good: list[object] = ["k1", "T", "C", "1", "context", "2024-01-31", topic.public_id, "{}", "1"]

    def but(**changes: object) -> list[object]:
        names = ["key", "title", "content", "quality", "memory_type", "created_at", "topic_id", "metadata", "x"]
        return [changes.get(name, value) for name, value in zip(names, good, strict=True)]

    rows = [
        good,
        but(key="k2", title="x" * 501),
        but(key="k3", quality="many"),
        but(key="k4", quality="2", memory_type="odd"),
        but(key="k5", created_at="yesterday"),
        but(key="k6", topic_id="3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        but(key="k7", topic_id="none"),
        but(key="k8", metadata="[1]"),
        but(key="k9", metadata="{"),
        but(key="k1", content="again"),
        but(key="x" * 256),
        but(key="k10", title="", content=" "),
        but(key="k11", content="a\x00b"),
        [*but(key="k12"), "too far"],
        but(key="k13"),
    ]
    batch = imported(owner, csv_of(header, *rows), columns={"Titel": "title"})
    assert errors_of(batch) == [
        (3, "Titel", "too_long"),
        (4, "quality", "invalid_type"),
        (5, "quality", "out_of_range"),
        (5, "memory_type", "invalid_choice"),
        (6, "created_at", "invalid_time"),
        (7, "topic_id", "not_found"),
        (8, "topic_id", "invalid_uuid"),
        (9, "metadata", "invalid_type"),
        (10, "metadata", "invalid_json"),
        (11, "key", "duplicate"),
        (12, "key", "too_long"),
        (13, "content", "required"),
        (14, "content", "invalid_text"),
        (15, "10", "no_column"),
    ]
    assert set(Record.objects.values_list("key", flat=True)) == {"k1", "k13"}
    assert Record.objects.get(key="k1").topic == topic
    assert counts_of(batch) == (2, 0, 13)


def test_errors_become_a_file_and_sums_the_outcome(owner: User) -> None:
    batch = imported(owner, csv_of(["key", "content", "quality"], ["=1", "C", "x"], ["k2", "C", "1"]))
    outcome = get_operation("import").finish(batch)
    assert {name: outcome[name] for name in ("rows", "created", "updated", "failed", "unwritten")} == {
        "rows": 2,
        "created": 1,
        "updated": 0,
        "failed": 1,
        "unwritten": 0,
    }
    [file] = outcome["files"]
    rows = list(csv.reader(io.StringIO(file_content(owner.pk, file["fileId"]).decode())))
    assert rows == [
        ["row", "column", "code", "message"],
        ["2", "quality", "invalid_type", "Must be a number, or null."],
    ]


def test_an_import_of_nothing_good_has_failed(owner: User) -> None:
    batch = imported(owner, csv_of(["content", "quality"], ["C", "x"]))
    with pytest.raises(CannotFinish, match=r"errors\.csv"):
        get_operation("import").finish(batch)
    assert StoredFile.objects.filter(batch=batch, is_result=True, name="errors.csv").exists()


def test_a_row_that_postgres_refuses_is_found_among_its_neighbours(owner: User) -> None:
    Record.objects.create(owner=owner, key="taken", content="x")
    mine = Record.objects.create(owner=owner, content="y")
    rows = [["", f"k{number}", "C"] for number in range(20)]
    rows[7] = [mine.public_id, "taken", "C"]
    batch = imported(owner, csv_of(["id", "key", "content"], *rows))
    assert errors_of(batch) == [(9, "key", "duplicate")]
    assert Record.objects.count() == 21


@pytest.mark.parametrize("name", ["records.jsonl", "records.json"])
def test_json_keeps_its_types(owner: User, name: str) -> None:
    rows = [
        {"key": 5, "content": "C", "tags": ["a,b", "c"], "metadata": {"a": {"b": [1, "1", None]}}, "size": "007"},
        {"key": "k", "content": "D", "metadata.n": 1.5, "ok": True, "nothing": None, "quality": None, "title": None},
    ]
    content = lines_of(*rows) if name.endswith("l") else orjson.dumps({"records": rows})
    batch = imported(owner, content, name)
    assert errors_of(batch) == []
    first, second = Record.objects.order_by("pk")
    assert (first.key, first.tags) == ("5", ["a,b", "c"])
    assert first.metadata == {"a": {"b": [1, "1", None]}, "size": "007"}
    assert second.metadata == {"n": 1.5, "ok": True, "nothing": None}


def test_lines_that_are_no_objects_are_named(owner: User) -> None:
    content = (
        b'{"content": "a"}\nnonsense\n[1]\n{"content": 5, "metadata": 1}\n\n{"content": "\\ud800"}\n{"content":"b"}'
    )
    batch = imported(owner, content, "r.jsonl")
    assert errors_of(batch) == [
        (2, "", "invalid_json"),
        (3, "", "invalid_type"),
        (4, "content", "invalid_type"),
        (4, "metadata", "invalid_type"),
        (6, "content", "invalid_text"),
    ]
    assert Record.objects.count() == 2


def test_chunks_hold_so_many_rows_and_know_duplicates_of_others(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    rows = [[f"k{number}", "C"] for number in range(5)]
    batch = imported(owner, csv_of(["key", "content"], *rows, ["k0", "again"]))
    assert [item.key for item in batch.items.order_by("position")] == ["rows 2-3", "rows 4-5", "rows 6-7"]
    assert errors_of(batch) == [(7, "key", "duplicate")]
    assert "row 2" in results(batch)[2]["errors"][0]["message"]
    assert Record.objects.get(key="k0").content == "C"


def test_the_rows_go_with_the_batch_and_the_upload_stays(owner: User) -> None:
    batch = imported(owner, csv_of(["content"], ["C"]))
    upload, rows = StoredFile.objects.order_by("pk")
    assert (upload.for_batch, upload.batch_id) == (False, None)
    assert (rows.for_batch, rows.batch_id, rows.public_id) == (True, batch.pk, batch.parameters["rowsFile"])


def test_rows_that_are_gone_fail_their_items(owner: User, media: Path) -> None:
    batch = submitted(owner.pk, "import", {"fileId": uploaded(owner, csv_of(["content"], ["C"]))})
    (media / str(owner.pk) / batch.parameters["rowsFile"]).unlink()
    outcome = get_operation("import").run(attempt_on(batch.items.get(), Answering()))
    assert isinstance(outcome, Rejected) and outcome.fault.code == "file_missing"


def test_a_preview_shows_records_and_problems_and_stores_none(owner: User) -> None:
    rows = [[f"k{number}", "C", "x" if number == 11 else "1"] for number in range(12)]
    new = get_operation("import").build(
        owner.pk, {"fileId": uploaded(owner, csv_of(["key", "Content", "quality"], *rows))}
    )
    preview = get_operation("import").preview(owner.pk, new)
    assert preview["total"] == preview["checkedRows"] == 12
    assert preview["columns"] == {"key": "key", "Content": "content", "quality": "quality"}
    assert preview["items"][0] == {
        "row": 2,
        "id": None,
        "key": "k0",
        "content": "C",
        "quality": 1.0,
        "metadata": {},
    }
    assert len(preview["items"]) == 10
    assert [(one["row"], one["column"]) for one in preview["problems"]] == [(13, "quality")]
    assert not Record.objects.exists()


@pytest.mark.parametrize(
    ("content", "name", "fields", "problem"),
    [
        (csv_of(["a", "b"], [1, 2]), "a.csv", {}, ("columns", "no_known_column")),
        (csv_of(["title", "Title"], [1, 2]), "a.csv", {}, ("columns.Title", "duplicate_column")),
        (csv_of(["title"], [1]), "a.csv", {"columns": {"nope": "content"}}, ("columns.nope", "unknown_column")),
        (csv_of(["title"], [1]), "a.csv", {"columns": {"title": "nope"}}, ("columns.title", "unknown_target")),
        (csv_of(["title"], [1]), "a.csv", {"columns": []}, ("columns", "invalid_type")),
        (csv_of(["title"], [1]), "a.csv", {"defaults": {"key": "k"}}, ("defaults.key", "unknown_target")),
        (csv_of(["title"], [1]), "a.csv", {"defaults": {"quality": 2}}, ("defaults.quality", "out_of_range")),
        (csv_of(["title"], [1]), "a.csv", {"delimiter": "x"}, ("delimiter", "invalid_choice")),
        (csv_of(["title"], [1]), "a.csv", {"format": "xls"}, ("format", "invalid_choice")),
        (csv_of(["title"], [1]), "a.csv", {"format": "xlsx"}, ("fileId", "wrong_format")),
        (csv_of(["title"], [1]), "a.csv", {"sheets": "x"}, ("sheets", "unknown_field")),
        (csv_of(["t", "t"], [1, 1]), "a.csv", {}, ("fileId", "duplicate_column")),
        (b"\n\n", "a.csv", {}, ("fileId", "empty")),
        (b"[]", "a.json", {}, ("fileId", "empty")),
        (b'[{"content": "a"}, {"conte', "a.json", {}, ("fileId", "invalid_json")),
        (b'title\n"a', "a.csv", {}, ("fileId", "broken_quotes")),
        (b"\xd0\xcf\x11\xe0" * 10, "a.xls", {}, ("fileId", "not_xlsx")),
        (b"PK\x03\x04" + b"0" * 100, "a.xlsx", {}, ("fileId", "not_xlsx")),
    ],
)
def test_what_is_refused_as_a_whole(
    owner: User, content: bytes, name: str, fields: dict[str, Any], problem: tuple[str, str]
) -> None:
    assert problems_of(owner, content, name, **fields) == dict([problem])
    assert StoredFile.objects.count() == 1  # the upload itself


@pytest.mark.parametrize("file_id", [None, 5, "", "file_0", {"a": 1}])
def test_a_file_that_is_not_there(owner: User, file_id: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        get_operation("import").build(owner.pk, {"fileId": file_id})
    assert [problem.path for problem in refused.value.problems] == ["fileId"]


def test_the_file_of_another_owner_is_none(owner: User) -> None:
    bob = User.objects.create_user("bob")
    with pytest.raises(InvalidInput):
        get_operation("import").build(bob.pk, {"fileId": uploaded(owner, csv_of(["content"], ["C"]))})


def test_more_rows_than_are_allowed(owner: User, settings: Any) -> None:
    settings.IMPORT_MAX_ROWS = 2
    assert problems_of(owner, csv_of(["content"], ["a"], ["b"], ["c"])) == {"fileId": "too_many_rows"}
