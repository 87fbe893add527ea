"""Reports over records and over batches: the figures, the files, and what a page must not do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from batches.histogram import duration_bucket
from batches.models import Batch, BatchHistogram
from batches.operations import get_operation
from batches.outcomes import Retry, Succeeded
from batches.result_files import result_files
from records.models import Record
from tests.operations.local_run import attempt, connection_kept, problems_of, record, run_batch, run_items, submitted


def tables_of(owner: User, **body: Any) -> list[Mapping[str, Any]]:
    """The tables of a report, in their order."""
    outcomes = run_items(submitted(owner, "report", body))
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes), outcomes
    return [outcome.result for outcome in outcomes if isinstance(outcome, Succeeded)]


def table_of(owner: User, group_by: list[str], measures: list[str] | None = None, **body: Any) -> Mapping[str, Any]:
    table: dict[str, Any] = {"groupBy": group_by} | ({"measures": measures} if measures else {})
    [made] = tables_of(owner, tables=[table], **body)
    return made


@pytest.fixture
def invoices(owner: User) -> None:
    record(owner, status="done", quality=0.9, tags=["a", "b"], metadata={"category": "invoice", "amount": 10})
    record(owner, status="done", quality=0.5, tags=["a"], metadata={"category": "invoice", "amount": "20"})
    record(owner, status="pending", metadata={"category": "receipt", "amount": 0.5}, content="12345")
    record(owner, status="pending")
    record(User.objects.create_user("bob"), status="done", metadata={"category": "invoice"})


@pytest.mark.usefixtures("invoices")
def test_records_are_counted_by_field_and_by_name_in_the_metadata(owner: User) -> None:
    made = table_of(owner, ["status"])
    assert (made["columns"], made["cut"]) == (["status", "count", "average:quality"], False)
    assert made["rows"] == [["done", 2, 0.7], ["pending", 2, None]]
    assert made["total"] == [4, 0.7]
    assert table_of(owner, ["category"], ["count"])["rows"] == [["invoice", 2], ["receipt", 1], [None, 1]]
    both = table_of(owner, ["status", "metadata.category"], ["count"])
    assert both["rows"] == [["done", "invoice", 2], ["pending", "receipt", 1], ["pending", None, 1]]


@pytest.mark.usefixtures("invoices")
def test_a_record_counts_for_each_of_its_tags(owner: User) -> None:
    made = table_of(owner, ["tags"], ["count"])
    assert (made["rows"], made["total"]) == ([["a", 2], ["b", 1]], [4])


@pytest.mark.usefixtures("invoices")
def test_quality_has_the_documents_ranges(owner: User) -> None:
    record(owner, quality=1.0)
    rows = table_of(owner, ["quality_range"], ["count"])["rows"]
    assert rows == [["0.8-1.0", 2], [None, 2], ["0.4-0.6", 1]]


@pytest.mark.usefixtures("invoices")
def test_numbers_are_measured_and_what_is_none_is_left_out(owner: User) -> None:
    measures = ["sum:amount", "average:metadata.amount", "minimum:content_length", "maximum:content_length"]
    made = table_of(owner, [], measures)
    assert (made["rows"], made["total"]) == ([], [10.5, 5.25, 5, 7])
    record(owner, metadata={"amount": 10**400})
    assert table_of(owner, [], ["maximum:amount"])["total"] == [str(10**400)]


def test_time_is_grouped_in_utc_and_in_order(owner: User) -> None:
    for day, hour in ((2, 23), (1, 1), (1, 2)):
        one = record(owner)
        Record.objects.filter(pk=one.pk).update(created_at=datetime(2026, 2, day, hour, tzinfo=UTC))
    assert table_of(owner, ["day"], ["count"])["rows"] == [["2026-02-01", 2], ["2026-02-02", 1]]
    assert table_of(owner, ["month"], ["count"])["rows"] == [["2026-02-01", 3]]
    since = {"createdAfter": "2026-02-02T00:00:00+01:00", "createdBefore": "2026-02-02T23:00:00Z"}
    assert table_of(owner, ["week"], ["count"], **since)["rows"] == []
    since["createdBefore"] = "2026-02-03"
    assert table_of(owner, ["week"], ["count"], **since)["rows"] == [["2026-02-02", 1]]


@pytest.mark.usefixtures("invoices")
def test_filters_hold_for_all_tables(owner: User) -> None:
    tables = tables_of(owner, filters={"status": "done"})
    assert [table["title"] for table in tables] == ["By kind", "By status", "By category", "By day"]
    assert {table["total"][0] for table in tables} == {2}


def test_a_table_has_as_many_rows_as_was_said_and_says_that_there_are_more(owner: User) -> None:
    Record.objects.bulk_create(Record(owner=owner, metadata={"n": "x" * 300 + str(number)}) for number in range(5))
    Record.objects.bulk_create(Record(owner=owner, metadata={"n": number}) for number in range(5))
    [made] = tables_of(owner, tables=[{"groupBy": "n", "measures": ["count"], "limit": 3}])
    assert (len(made["rows"]), made["cut"]) == (3, True)
    assert made["rows"][0] == ["x" * 200, 5]


def past(
    owner: User, *, operation: str, status: str = "completed", durations: tuple[float, ...] = (), **fields: Any
) -> Batch:
    """A batch that is over."""
    now = timezone.now()
    batch = Batch.objects.create(
        owner=owner, operation=operation, channel="ai", status=status, started_at=now, completed_at=now, settled_at=now,
        loaded_at=now, **fields,
    )  # fmt: skip
    for milliseconds in durations:
        bucket = duration_bucket(milliseconds)
        row, _ = BatchHistogram.objects.get_or_create(batch=batch, measure="duration", bucket=bucket)
        BatchHistogram.objects.filter(pk=row.pk).update(count=row.count + 1)
    return batch


def test_batches_are_reported_from_their_counters_and_histograms(owner: User) -> None:
    past(owner, operation="sms", total=4, succeeded=3, unknown=1, durations=(100, 100, 100))
    past(owner, operation="sms", status="failed", total=2, failed=2, durations=(900,))
    past(owner, operation="annotate", total=1, succeeded=1)
    past(User.objects.create_user("bob"), operation="sms", total=9, succeeded=9)
    past(owner, operation="sms", deleted_at=timezone.now())
    filters = {"operation": ["sms", "annotate"]}
    made = table_of(owner, ["operation"], over="batches", filters=filters)
    assert made["columns"] == ["operation", "count", "items", "succeeded", "failed", "success_rate", "p50_ms", "p95_ms"]
    sms, annotate = made["rows"]
    assert sms[:6] == ["sms", 2, 6, 3, 3, 0.5]
    assert (sms[6], sms[7]) == (pytest.approx(100, rel=0.02), pytest.approx(900, rel=0.02))
    assert annotate == ["annotate", 1, 1, 1, 0, 1.0, None, None]
    assert made["total"][:5] == [3, 7, 4, 3, pytest.approx(4 / 7)]
    by_day = table_of(owner, ["day", "status"], ["count", "cancelled"], over="batches", filters={"status": "failed"})
    assert by_day["rows"] == [[timezone.now().date().isoformat(), "failed", 1, 0]]


def test_a_report_on_nothing_is_a_report(owner: User) -> None:
    made = table_of(owner, ["operation"], over="batches", filters={"operation": "none"})
    assert (made["rows"], made["total"]) == ([], [0, 0, 0, 0, None, None, None])
    assert table_of(owner, ["status"])["total"] == [0, None]


@pytest.mark.usefixtures("invoices")
def test_a_report_becomes_files(owner: User) -> None:
    record(owner, status="=1+1", metadata={"category": "<script>alert(1)</script>"})
    tables = [{"title": "</style><b>Mine", "groupBy": ["status"]}, {"groupBy": ["category"], "measures": ["count"]}]
    body = {"tables": tables, "name": "Q1 & <b>more</b>", "description": "<i>All</i>"}
    batch, outcome = run_batch(owner, "report", body)
    files = {file.name: file for file in result_files(batch)}
    assert [file["name"] for file in outcome["files"]] == ["report.json", "report-1.csv", "report-2.csv", "report.html"]
    assert [file["fileId"] for file in outcome["files"]] == [files[file["name"]].public_id for file in outcome["files"]]
    assert outcome["tables"][0] == {"title": "</style><b>Mine", "made": True, "rows": 3}
    whole = json.loads(files["report.json"].content.read())
    assert (whole["name"], whole["tables"][1]["rows"][0]) == (body["name"], ["invoice", 2])
    rows = list(csv.reader(io.StringIO(files["report-1.csv"].content.read().decode())))
    assert rows == [
        ["status", "count", "average:quality"],
        ["done", "2", "0.7"],
        ["pending", "2", ""],
        ["'=1+1", "1", ""],
    ]
    page = files["report.html"].content.read().decode()
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in page
    assert files["report.html"].media_type == "text/html; charset=utf-8"


@pytest.mark.usefixtures("invoices")
def test_only_the_files_that_are_wanted_are_made(owner: User) -> None:
    batch, outcome = run_batch(owner, "report", {"tables": [{"groupBy": "kind"}], "formats": ["csv"]})
    assert [file.name for file in result_files(batch)] == ["report.csv"]
    assert len(outcome["files"]) == 1


@pytest.mark.usefixtures("invoices")
def test_a_table_that_takes_too_long_is_tried_again(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")

    monkeypatch.setattr("batches.operations.records.report.table_of_records", slow)
    batch = submitted(owner, "report", {"tables": [{"groupBy": "kind"}]})
    item = batch.items.select_related("batch").get()
    with connection_kept():
        outcome = get_operation("report").run(attempt(item, timeout_seconds=0.1))
    assert isinstance(outcome, Retry)
    assert outcome.fault.code == "query_too_slow"


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"over": "memories"}, {"over": "invalid_choice"}),
        ({"tables": []}, {"tables": "invalid_type"}),
        ({"tables": [5]}, {"tables.0": "invalid_type"}),
        ({"tables": [{"groupBy": ["a"] * 4}]}, {"tables.0.groupBy": "invalid_type"}),
        ({"tables": [{"groupBy": ["a", "a"]}]}, {"tables.0.groupBy": "duplicate"}),
        ({"tables": [{"groupBy": [1]}]}, {"tables.0.groupBy.0": "invalid_type"}),
        ({"tables": [{"measures": ["median:x"]}]}, {"tables.0.measures.0": "invalid_choice"}),
        ({"tables": [{"measures": ["sum"]}]}, {"tables.0.measures.0": "invalid_choice"}),
        ({"tables": [{"limit": 5000}]}, {"tables.0.limit": "out_of_range"}),
        ({"tables": [{"group_by": "a"}]}, {"tables.0.group_by": "unknown_field"}),
        ({"tables": [{"title": 5}]}, {"tables.0.title": "invalid_type"}),
        ({"over": "batches", "tables": [{"groupBy": ["tags"]}]}, {"tables.0.groupBy.0": "invalid_choice"}),
        ({"over": "batches", "tables": [{"measures": ["sum:x"]}]}, {"tables.0.measures.0": "invalid_choice"}),
        ({"over": "batches", "filters": {"category": "x"}}, {"filters.category": "unknown_field"}),
        ({"over": "batches", "filters": {"status": 5}}, {"filters.status": "invalid_type"}),
        ({"createdAfter": "yesterday"}, {"createdAfter": "invalid_time"}),
        ({"createdBefore": 5}, {"createdBefore": "invalid_time"}),
        ({"formats": ["pdf"]}, {"formats": "invalid_choice"}),
        ({"table": []}, {"table": "unknown_field"}),
    ],
)
def test_a_wrong_body_is_refused_by_path(body: dict[str, Any], problems: dict[str, str]) -> None:
    assert problems_of("report", body) == problems
