"""Exports: what is in the file, that nothing in it is run, and that an import reads back what was written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from batches.files import Upload, file_content, store_uploads
from batches.models import Batch, StoredFile
from batches.operations import CannotFinish, get_operation
from batches.operations.records import record_chunks as chunks
from batches.problems import InvalidInput
from batches.tables.sheet import LONGEST_CELL
from records.models import MemoryType, Record, Topic
from tests.operations.by_hand import do_all_here, finished, load, results, run_all

pytestmark = pytest.mark.django_db

FORMATS = ["csv", "json", "jsonl", "xlsx"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    do_all_here(monkeypatch)


def exported(owner: User, **fields: Any) -> bytes:
    _, outcome = finished(owner.pk, "export", fields)
    [file] = outcome["files"]
    return file_content(owner.pk, file["fileId"])


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_csv_has_the_columns_asked_for_in_the_order_of_the_ids(owner: User) -> None:
    for number in range(3):
        Record.objects.create(
            owner=owner, key=f"k{number}", title=f"T{number}", tags=["a", "b"], metadata={"n": number, "x": {"y": 1}}
        )
    columns = ["metadata.n", "key", "tags", "metadata.x", "metadata.none", "quality"]
    assert rows_of(exported(owner, columns=columns)) == [
        columns,
        ["0", "k0", "a, b", '{"y": 1}', "", ""],
        ["1", "k1", "a, b", '{"y": 1}', "", ""],
        ["2", "k2", "a, b", '{"y": 1}', "", ""],
    ]


def test_only_what_matches_and_is_the_owners(owner: User) -> None:
    bob = User.objects.create_user("bob")
    Record.objects.create(owner=owner, content="yes", metadata={"category": "invoice"}, status="pending")
    Record.objects.create(owner=owner, content="no", metadata={"category": "order"}, status="pending")
    Record.objects.create(owner=bob, content="his", metadata={"category": "invoice"}, status="pending")
    content = exported(owner, filters={"category": "invoice", "status": ["pending", "open"]}, columns=["content"])
    assert rows_of(content) == [["content"], ["yes"]]


@pytest.mark.parametrize(("form", "whole"), [("csv", b"key\r\n"), ("json", b"[\n]\n"), ("jsonl", b"")])
def test_nothing_that_matches_is_a_file_without_rows(owner: User, form: str, whole: bytes) -> None:
    assert exported(owner, format=form, columns=["key"]) == whole


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_no_cell_is_a_formula(owner: User, form: str) -> None:
    texts = ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "＝1", "'=1", "=cmd|' /C calc'!A0"]
    for text in texts:
        Record.objects.create(owner=owner, content=text, title=text, tags=[text], key=text, metadata={"a": text})
    content = exported(owner, format=form, columns=["content", "title", "tags", "key", "metadata.a"])
    if form == "csv":
        rows: list[list[Any]] = [*rows_of(content)]
    else:
        rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert [row[0] for row in rows[1:]] == [f"'{text}" for text in texts]
    assert not [cell for row in rows for cell in row if str(cell).startswith(tuple("=+-@\t\r＝"))]


def test_a_topic_of_a_record_is_named_by_its_id(owner: User) -> None:
    topic = Topic.objects.create(owner=owner, name="t")
    Record.objects.create(owner=owner, content="C", topic=topic)
    assert rows_of(exported(owner, columns=["topic_id"]))[1] == [str(topic.public_id)]
    assert json.loads(exported(owner, columns=["topic_id", "quality"], format="json")) == [
        {"topic_id": str(topic.public_id), "quality": None}
    ]


def test_many_chunks_are_joined_in_order(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_RECORDS", 3)
    Record.objects.bulk_create(Record(owner=owner, key=f"k{number}", content="C") for number in range(10))
    batch = load(owner.pk, "export", {"columns": ["key"], "format": "jsonl"})
    assert [item.key for item in batch.items.order_by("position")] == ["1-3", "4-6", "7-9", "10-10"]
    Record.objects.filter(key="k4").delete()
    Record.objects.create(owner=owner, key="late", content="C")
    outcome = get_operation("export").finish(run_all(batch))
    lines = file_content(owner.pk, outcome["files"][0]["fileId"]).splitlines()
    assert [json.loads(line)["key"] for line in lines] == [f"k{number}" for number in range(10) if number != 4]
    assert outcome["rows"] == 9


def test_the_parts_go_when_the_file_is_kept_and_a_second_finish_finds_it(owner: User) -> None:
    Record.objects.create(owner=owner, key="k", content="C")
    batch, outcome = finished(owner.pk, "export", {})
    assert list(StoredFile.objects.values_list("name", "is_result")) == [("records.csv", True)]
    assert get_operation("export").finish(batch) == outcome


def test_a_worker_that_died_between_the_parts_and_the_file_loses_nothing(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record.objects.create(owner=owner, key="k", content="C")
    batch = run_all(load(owner.pk, "export", {"columns": ["key"]}))
    from batches.operations.records import export_records

    def die(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(export_records, "store_result", die)
        with pytest.raises(RuntimeError):
            get_operation("export").finish(batch)
    outcome = get_operation("export").finish(batch)
    assert rows_of(file_content(owner.pk, outcome["files"][0]["fileId"])) == [["key"], ["k"]]


def test_an_export_with_failed_parts_is_not_a_file(owner: User) -> None:
    Record.objects.create(owner=owner, content="C")
    batch = load(owner.pk, "export", {})
    Batch.objects.filter(pk=batch.pk).update(failed=1)
    batch.refresh_from_db()
    with pytest.raises(CannotFinish):
        get_operation("export").finish(batch)


def test_a_part_that_is_gone_says_so(owner: User, media: Path) -> None:
    Record.objects.create(owner=owner, content="C")
    batch = run_all(load(owner.pk, "export", {}))
    for path in media.rglob("file_*"):
        path.unlink()
    with pytest.raises(CannotFinish, match="not there any more"):
        get_operation("export").finish(batch)


def test_cells_that_xlsx_cannot_hold_are_cut_and_named(owner: User) -> None:
    record = Record.objects.create(owner=owner, content="x" * (LONGEST_CELL + 1), title="short")
    _, outcome = finished(owner.pk, "export", {"format": "xlsx", "columns": ["content", "title"]})
    assert (outcome["cutCells"], outcome["cutRecords"], len(outcome["warnings"])) == (1, [record.public_id], 1)
    content = file_content(owner.pk, outcome["files"][0]["fileId"])
    [_, row] = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert row == ["x" * LONGEST_CELL, "short"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_preview_shows_the_first_rows_as_they_would_be(owner: User, form: str) -> None:
    Record.objects.bulk_create(Record(owner=owner, content="=C", key=f"k{number}") for number in range(12))
    new = get_operation("export").build(owner.pk, {"format": form, "columns": ["content"]})
    preview = get_operation("export").preview(owner.pk, new)
    assert (preview["total"], len(preview["items"])) == (12, 10)
    assert preview["items"][0] == {"content": "=C" if "json" in form else "'=C"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"format": "pdf"}, ("format", "invalid_choice")),
        ({"columns": "title"}, ("columns", "invalid_type")),
        ({"columns": []}, ("columns", "invalid_type")),
        ({"columns": ["title", "nope"]}, ("columns.1", "unknown_column")),
        ({"columns": ["title", "title"]}, ("columns.1", "duplicate")),
        ({"columns": ["metadata."]}, ("columns.0", "unknown_column")),
        ({"columns": [None]}, ("columns.0", "unknown_column")),
        ({"columns": ["metadata.\x00"]}, ("columns.0", "unknown_column")),
        ({"columns": ["title"] * 501}, ("columns", "too_many")),
        ({"filters": []}, ("filters", "invalid_type")),
        ({"filter": {}}, ("filter", "unknown_field")),
    ],
)
def test_what_is_refused(owner: User, fields: Mapping[str, Any], problem: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        get_operation("export").build(owner.pk, fields)
    assert [(one.path, one.code) for one in refused.value.problems] == [problem]


def test_more_records_than_a_sheet_holds(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from batches.operations.records import export_records

    monkeypatch.setattr(export_records, "MOST_ROWS", 500)
    Record.objects.bulk_create(Record(owner=owner, content="C") for _ in range(501))
    with pytest.raises(InvalidInput):
        get_operation("export").build(owner.pk, {"format": "xlsx"})
    assert get_operation("export").build(owner.pk, {"format": "csv"})


# What Postgres stores, without what XML has no place for (two non-characters of the basic plane).
LETTERS = st.characters(exclude_characters="\x00\ufffe\uffff", exclude_categories=["Cs"])
AWKWARD = st.sampled_from(
    ["=1", "'=1", "'a", ' "quoted" ', "a,b;c", "\r\n", "\n", "_x0041_", "5", "true", "null", "[", "😀"]
)
TEXT = st.one_of(st.text(LETTERS, max_size=30), AWKWARD)
NAMES = st.text(LETTERS, min_size=1, max_size=10).filter(lambda name: name.strip() == name)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(-1e9, 1e9), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXT, inner, max_size=2)),
    max_leaves=4,
)
RECORDS = st.fixed_dictionaries(
    {
        "title": TEXT,
        "content": TEXT.filter(lambda text: bool(text.strip())),
        "summary": TEXT,
        "tags": st.lists(TEXT.filter(lambda text: bool(text.strip())), max_size=3, unique=True),
        "metadata": st.dictionaries(TEXT, VALUES, max_size=3),
        "status": st.sampled_from(["active", "pending", "=x"]),
        "kind": st.sampled_from(["node", "conversation"]),
        "memory_type": st.sampled_from(MemoryType.values),
        "quality": st.one_of(st.none(), st.floats(0, 1)),
        "relevance": st.one_of(st.none(), st.floats(0, 1)),
        "key": st.one_of(st.none(), TEXT.map(str.strip).filter(bool)),
    }
)
COMPARED = ["title", "content", "summary", "tags", "metadata", "status", "kind", "memory_type", "quality", "relevance"]


@pytest.mark.parametrize("form", FORMATS)
@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.lists(RECORDS, min_size=1, max_size=6, unique_by=lambda one: one["key"] or object()))
def test_what_was_exported_is_imported_the_same(owner: User, form: str, given: list[dict[str, Any]]) -> None:
    Record.objects.all().delete()
    bob, _ = User.objects.get_or_create(username="bob")
    Record.objects.bulk_create(Record(owner=owner, **one) for one in given)
    before = list(Record.objects.filter(owner=owner).order_by("pk").values("key", "public_id", "created_at", *COMPARED))
    content = exported(owner, format=form)
    upload = store_uploads(bob.pk, [Upload(f"records.{form}", "text/plain", ContentFile(content))])[0]
    batch, outcome = finished(bob.pk, "import", {"fileId": upload.public_id})
    assert outcome["created"] == len(given), results(batch)
    for one in before:
        found = Record.objects.filter(owner=bob, key=one["key"] or one["public_id"])
        [again] = found.values("created_at", *COMPARED)
        assert again == {name: one[name] for name in ("created_at", *COMPARED)}


@pytest.mark.parametrize("form", FORMATS)
@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    metadata=st.dictionaries(
        NAMES,
        VALUES,
        min_size=1,
        max_size=4,
    )
)
def test_names_of_the_metadata_come_back_from_columns_of_their_own(
    owner: User, form: str, metadata: dict[str, Any]
) -> None:
    Record.objects.all().delete()
    record = Record.objects.create(owner=owner, content="C", key="k", metadata=metadata)
    content = exported(owner, format=form, columns=["key", *(f"metadata.{name}" for name in metadata)])
    Record.objects.update(metadata={})
    upload = store_uploads(owner.pk, [Upload(f"r.{form}", "text/plain", ContentFile(content))])[0]
    batch, outcome = finished(owner.pk, "import", {"fileId": upload.public_id})
    assert outcome["updated"] == 1, results(batch)
    record.refresh_from_db()
    assert record.metadata == metadata
