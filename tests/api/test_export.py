"""A batch's results, items and errors as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from python_calamine import CalamineWorkbook

from batches.choosing import ItemChoice
from batches.exporting import rows as exporting_rows
from batches.exporting import streams
from batches.exporting.rows import Rows
from batches.models import Batch, Item, ItemError
from tests.api.conftest import client_of
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db

HOSTILE = '=HYPERLINK("https://evil.example.com","click")'


def photos(owner: User, count: int = 4) -> Batch:
    """Two that were rated, one that failed for good, one that is tried again."""
    batch = make_batch(owner, name="Harbour: day 2/3", total=count, succeeded=2, failed=1)
    now = timezone.now()
    rating = {"starRating": 4, "colorLabel": "green", "title": HOSTILE, "description": "a\nb", "tags": ["sea", "x,y"]}
    made = [
        Item(
            batch=batch, position=n, key=f"img{n}", input={"filename": f"DSC_{n}.jpg", "url": f"https://a.example/{n}"}
        )
        for n in range(count)
    ]
    for item in made[:2]:
        item.status, item.result, item.finished_at, item.cost = "succeeded", rating, now, Decimal("0.0008900000")
    for item in made[2:]:
        item.error_category, item.error_code, item.error_message = "server", "http_500", "It broke."
    made[2].status, made[2].finished_at = "failed", now
    Item.objects.bulk_create(made)
    for item in made[2:]:
        ItemError.objects.create(
            item=item, batch=batch, code="http_500", category="server", message="It broke.", count=3
        )
    return batch


def export(client: Client, batch: Batch, query: str = "") -> bytes:
    response = client.get(f"/api/batch/{batch.public_id}/export?{query}")
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_results_are_what_was_tried_to_the_end(client: Client, alice: User) -> None:
    rows = table(export(client, photos(alice)))
    assert [row["id"] for row in rows] == ["img0", "img1", "img2"]
    first = rows[0]
    assert (first["number"], first["filename"], first["starRating"], first["cost"]) == (
        "1",
        "DSC_0.jpg",
        "4",
        "0.00089",
    )
    assert (rows[2]["status"], rows[2]["errorCode"], rows[2]["error"]) == ("failed", "http_500", "It broke.")


def test_no_cell_is_a_formula(client: Client, alice: User) -> None:
    batch = photos(alice)
    assert table(export(client, batch))[0]["title"] == f"'{HOSTILE}"
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(export(client, batch, "format=xlsx"))).get_sheet_by_index(0)
    header, first, *_ = sheet.to_python()
    row = dict(zip(header, first, strict=True))
    assert (row["title"], row["starRating"], row["id"]) == (f"'{HOSTILE}", 4, "img0")


def test_lines_hold_the_result_as_it_is(client: Client, alice: User) -> None:
    first, *rest = lines(export(client, photos(alice), "format=jsonl&what=items"))
    assert first["result"]["tags"] == ["sea", "x,y"]
    assert first["result"]["title"] == HOSTILE
    assert "title" not in first
    assert [each["status"] for each in rest] == ["succeeded", "failed", "pending"]


def test_errors_that_a_retry_may_heal_are_for_staff(client: Client, alice: User, staff: User) -> None:
    batch = photos(alice)
    assert [row["id"] for row in table(export(client, batch, "what=errors"))] == ["img2"]
    assert lines(export(client, batch, "what=items&format=jsonl"))[3].get("error") is None
    alice.is_staff = True
    alice.save()
    errors = table(export(client, batch, "what=errors"))
    assert [(row["id"], row["count"]) for row in errors] == [("img3", "3"), ("img2", "3")]
    assert lines(export(client, batch, "what=items&format=jsonl"))[3]["error"] == "It broke."


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("what=items&status=succeeded", ["img0", "img1"]),
        ("what=items&status=pending", ["img3"]),
        ("what=items&status=cancelled", []),
        ("what=items&category=server", ["img2"]),
        ("what=items&code=http_500", ["img2"]),
        ("what=items&code=http_404", []),
        ("what=items&q=MG1", ["img1"]),
        ("what=errors&q=img2&category=server&status=failed", ["img2"]),
        ("what=errors&category=timeout", []),
        ("status=&category=&q=", ["img0", "img1", "img2"]),
    ],
)
def test_it_is_filtered_as_the_page_is(client: Client, alice: User, query: str, expected: list[str]) -> None:
    assert [row["id"] for row in table(export(client, photos(alice), query))] == expected


@pytest.mark.parametrize(
    "query", ["format=pdf", "what=all", "status=odd", "category=odd", "code=%00", "q=%00", f"q={'x' * 201}", "limit=5"]
)
def test_what_makes_no_sense_is_refused_before_a_byte(client: Client, alice: User, query: str) -> None:
    response = client.get(f"/api/batch/{photos(alice).public_id}/export?{query}")
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")


def test_it_is_a_download_that_no_browser_runs(client: Client, alice: User) -> None:
    response = client.get(f"/api/batch/{photos(alice).public_id}/export")
    assert response["Content-Disposition"] == 'attachment; filename="Harbour day 2 3 results.csv"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "private, no-store"


def test_a_messages_row_has_its_number_and_its_delivery(client: Client, alice: User) -> None:
    batch = make_batch(alice, operation="sms", channel="sms", provider="twilio", total=1, succeeded=1)
    Item.objects.create(
        batch=batch, position=0, key="+15005550123", input={"to": "+15005550123"}, status="succeeded",
        finished_at=timezone.now(), result={"status": "queued", "segments": 1}, delivery="delivered",
        delivered_at=timezone.now(),
    )  # fmt: skip
    (row,) = table(export(client, batch))
    assert (row["to"], row["segments"], row["delivery"]) == ("'+15005550123", "1", "delivered")


def test_other_results_keep_all_their_names(client: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting_rows, "SAMPLED", 1)
    batch = make_batch(alice, operation="transform", channel="data", total=2, succeeded=2)
    results = [{"rows": 3, "status": "theirs", "=cmd": 1}, {"late": True}]
    Item.objects.bulk_create(
        [
            Item(batch=batch, position=n, key=str(n), status="succeeded", finished_at=timezone.now(), result=result)
            for n, result in enumerate(results)
        ]
    )
    first, second = table(export(client, batch))
    assert (first["rows"], first["result.status"], first["status"], first["'=cmd"]) == ("3", "theirs", "succeeded", "1")
    assert json.loads(second["result"]) == {"late": True}


def test_a_huge_batch_is_read_page_by_page(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting_rows, "PAGE", 2)
    rows = Rows(photos(alice, count=5), alice, "items", ItemChoice())
    pages = rows.pages()
    with CaptureQueriesContext(connection) as queries:
        assert [row["number"] for row in next(pages)] == [1, 2]
    assert len(queries) == 1
    assert [row["number"] for page in pages for row in page] == [3, 4, 5]


def test_a_sheet_of_too_many_rows_is_refused(client: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_XLSX_ROWS", 2)
    response = client.get(f"/api/batch/{photos(alice).public_id}/export?format=xlsx")
    assert response.status_code == 400
    assert response.json()["details"]["errors"][0]["code"] == "too_many"


@pytest.mark.django_db(transaction=True)
async def test_an_asynchronous_server_gets_each_piece_when_it_is_made() -> None:
    made = []

    def source() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"%d" % number

    sent = []
    async for piece in streams.Later(source()):
        sent.append((piece, list(made)))
    assert sent == [(b"0", [0]), (b"1", [0, 1]), (b"2", [0, 1, 2])]


def test_anothers_batch_does_not_exist(alice: User, bob: User) -> None:
    assert client_of(bob).get(f"/api/batch/{photos(alice).public_id}/export").status_code == 404
