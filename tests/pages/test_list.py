"""The list of batches: filters, pages by key, and the piece that the page exchanges."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from batches.models import Batch
from batches.pages import overview
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db

HX = {"HX-Request": "true"}


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def names(page: str) -> list[str]:
    return re.findall(r'<a id="open-[^>]*>([^<]*)</a>', page)


@pytest.fixture
def three(alice: User) -> list[Batch]:
    made = [
        make_batch(alice, name="Wedding", status="running"),
        make_batch(alice, name="", subject="harbour-7", status="completed", succeeded=10),
        make_batch(
            alice, name="Reminders", operation="sms", channel="sms", provider="twilio", status="failed", failed=10
        ),
    ]
    for day, batch in enumerate(made, start=1):
        Batch.objects.filter(pk=batch.pk).update(created_at=datetime(2026, 3, day, 12, tzinfo=UTC))
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Reminders", "harbour-7", "Wedding"]),
        ("status=running", ["Wedding"]),
        ("operation=sms", ["Reminders"]),
        ("q=HARBOUR", ["harbour-7"]),
        ("q=wed&status=completed", []),
        ("since=2026-03-02", ["Reminders", "harbour-7"]),
        ("until=2026-03-02", ["harbour-7", "Wedding"]),
        ("since=2026-03-02&until=2026-03-02", ["harbour-7"]),
        ("q=%25", []),
    ],
)
def test_it_is_filtered(browser: Client, three: list[Batch], query: str, expected: list[str]) -> None:
    assert names(text(browser, f"/?{query}")) == expected


def test_a_part_of_the_id_is_found(browser: Client, three: list[Batch]) -> None:
    assert names(text(browser, f"/?q={three[0].public_id[-12:]}")) == ["Wedding"]


@pytest.mark.parametrize(
    "query",
    ["status=odd", "operation=odd", "since=yesterday", "until=0001-01-01", "until=9999-12-31", "q=%00", "older=x%00",
     "newer=" + "x" * 99, "older=batch_1_nothing"],
)  # fmt: skip
def test_what_makes_no_sense_filters_nothing(browser: Client, three: list[Batch], query: str) -> None:
    assert names(text(browser, f"/?{query}")) == ["Reminders", "harbour-7", "Wedding"]


def test_a_day_that_is_none_is_said_beside_its_field(browser: Client, three: list[Batch]) -> None:
    page = text(browser, "/?since=yesterday")
    assert 'value="yesterday"><span class="problem">Write a day as 2026-01-31.</span>' in page


def test_what_matches_nothing_is_no_empty_account(browser: Client, three: list[Batch]) -> None:
    page = text(browser, "/?q=nothing")
    assert "No batch matches" in page
    assert "No batches yet" not in page


def test_pages_lead_forth_and_back(browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "BATCHES_PER_PAGE", 2)
    for number in range(5):
        make_batch(alice, name=f"N{number}")
    seen, path = [], "/?status=running"
    while path:
        page = text(browser, path)
        seen.append(names(page))
        link = re.search(r'rel="next" href="([^"]+)"', page)
        path = link.group(1).replace("&amp;", "&") if link else ""
    assert seen == [["N4", "N3"], ["N2", "N1"], ["N0"]]
    back = re.search(r'rel="prev" href="([^"]+)"', page)
    assert back is not None
    page = text(browser, back.group(1).replace("&amp;", "&"))
    assert names(page) == ["N2", "N1"]
    back = re.search(r'rel="prev" href="([^"]+)"', page)
    assert back is not None
    newest = text(browser, back.group(1).replace("&amp;", "&"))
    assert names(newest) == ["N4", "N3"]
    assert 'rel="prev"' not in newest


def test_another_owners_batch_is_no_place_to_go_on_from(browser: Client, alice: User, bob: User) -> None:
    make_batch(alice, name="Old")
    theirs = make_batch(bob)
    make_batch(alice, name="New")
    assert names(text(browser, f"/?older={theirs.public_id}")) == ["New", "Old"]


def test_a_page_reads_what_it_shows(browser: Client, three: list[Batch]) -> None:
    with CaptureQueriesContext(connection) as queries:
        text(browser, "/")
    (listed,) = [query["sql"] for query in queries if 'FROM "batches_batch"' in query["sql"]]
    assert "LIMIT 51" in listed
    assert "parameters" not in listed
    assert not [query for query in queries if "COUNT(" in query["sql"]]


def test_the_piece_has_the_pages_address(browser: Client, three: list[Batch]) -> None:
    answer = browser.get("/batches?status=running&q=&since=", headers=HX)
    assert answer.headers["HX-Push-Url"] == "/?status=running"
    page = answer.content.decode()
    assert names(page) == ["Wedding"]
    assert "<html" not in page


def test_a_page_that_keeps_itself_fresh_stays_where_it_is(browser: Client, three: list[Batch]) -> None:
    assert "HX-Push-Url" not in browser.get("/batches", headers=HX | {"X-Refresh": "1"}).headers


def test_the_pieces_address_leads_people_to_the_page(browser: Client, three: list[Batch]) -> None:
    answer = browser.get("/batches?status=running")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?status=running")


def test_a_piece_for_nobody_loads_the_page_anew(client: Client) -> None:
    assert client.get("/batches", headers=HX).headers["HX-Refresh"] == "true"
    assert client.get("/batches").status_code == 302


def test_costs_are_shown_and_the_sandboxs_as_such(browser: Client, alice: User) -> None:
    make_batch(alice, spent=Decimal("1.339"))
    assert '$1.34 <span class="hint">simulated</span>' in text(browser, "/")


def test_hostile_names_are_text(browser: Client, alice: User) -> None:
    batch = make_batch(alice, name="<script>alert(1)</script>", description="<img src=x onerror=alert(1)>")
    for path in ("/", f"/batches/{batch.public_id}", f"/compare?left={batch.public_id}&right={batch.public_id}"):
        page = text(browser, path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page
