"""The pages of records: list, search, view."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from batches.pages.records import listing
from records.models import Record

pytestmark = pytest.mark.django_db


def make(owner: User, title: str, **fields: Any) -> Record:
    return Record.objects.create(owner=owner, title=title, **fields)


def page(person: Client, path: str) -> str:
    answer = person.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def titles(text: str) -> list[str]:
    return re.findall(r'<a href="/records/[\w.-]+(?:\?[^"]*)?">([^<]*)</a>', text)


@pytest.mark.parametrize("path", ["/records", "/records/", "/records/rows", "/records/mem_1"])
def test_it_asks_people_to_sign_in(client: Client, db: None, path: str) -> None:
    assert client.get(path).headers["Location"].startswith("/login")


def test_who_has_none_is_told_how_to_get_some(person: Client) -> None:
    text = page(person, "/records")
    assert "No records yet" in text
    assert 'href="/new/operations/import"' in text


def test_own_records_are_listed_newest_first_whatever_their_kind(person: Client, ada: User) -> None:
    for number, kind in enumerate(["memory", "node", "conversation", "memory", "invoice"]):
        make(ada, f"Number {number}", kind=kind)
    make(User.objects.create_user("bob"), "Theirs")
    assert titles(page(person, "/records")) == [f"Number {number}" for number in (4, 3, 2, 1, 0)]


def test_the_list_is_paged_by_where_it_ended(person: Client, ada: User) -> None:
    for number in range(120):
        make(ada, f"Number {number:03}", kind=["memory", "node"][number % 2])
    seen: list[str] = []
    path = "/records"
    while True:
        text = page(person, path)
        seen += titles(text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert seen == [f"Number {number:03}" for number in reversed(range(120))]
    newer = re.search(r'rel="prev" href="([^"]+)"', text)
    assert newer
    assert titles(page(person, newer[1].replace("&amp;", "&"))) == seen[50:100]


def test_a_page_asks_few_queries_and_reads_no_more_than_it_shows(person: Client, ada: User) -> None:
    for number in range(60):
        make(ada, f"Number {number}")
    with CaptureQueriesContext(connection) as queries:
        page(person, "/records")
    assert len(queries) <= 10
    assert all("LIMIT" in each["sql"] for each in queries if 'FROM "records_record"' in each["sql"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=node", ["Node"]),
        ("status=pending", ["Pending"]),
        ("tags=red, blue", ["Tagged"]),
        ("kind=memory&status=pending", ["Pending"]),
        ("status=nowhere", []),
    ],
)
def test_filters(person: Client, ada: User, query: str, expected: list[str]) -> None:
    make(ada, "Node", kind="node")
    make(ada, "Pending", status="pending")
    make(ada, "Tagged", tags=["blue"])
    text = page(person, f"/records?{query}")
    assert titles(text) == expected
    assert ("No record matches" in text) == (not expected)


def test_a_filter_goes_with_the_links_to_work_on_these(person: Client, ada: User) -> None:
    make(ada, "Pending", status="pending", tags=["a&b"])
    text = page(person, "/records?status=pending&tags=a%26b")
    assert 'href="/new/operations/export?filter_status=pending&amp;filter_tags=a%26b"' in text
    assert 'name="filter_tags" value="a&amp;b"' in page(
        person, "/new/operations/export?filter_status=pending&filter_tags=a%26b"
    )


def test_search_finds_misspelt_words_in_every_kind(person: Client, ada: User) -> None:
    make(ada, "Invoice of March", kind="node", status="archived")
    make(ada, "Minutes", content="Nothing of that.")
    make(User.objects.create_user("bob"), "Invoice of theirs")
    text = page(person, "/records?q=invoise")
    assert titles(text) == ["Invoice of March"]
    assert "1 match, best first" in text
    assert titles(page(person, "/records?q=invoice&kind=memory")) == []


@pytest.mark.parametrize("query", ["q=" + "x" * 300, "status=" + "x" * 2000, "q=%00", "tags=%00", "older=%00&newer=x"])
def test_odd_filters_are_told_and_break_nothing(person: Client, ada: User, query: str) -> None:
    make(ada, "Only")
    assert person.get(f"/records?{query}").status_code == 200


def test_what_takes_too_long_is_given_up(person: Client, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make(ada, "Only")
    monkeypatch.setattr(listing, "PATIENCE_SECONDS", 0.0)
    assert "That takes too long" in page(person, "/records")


def test_the_piece_is_exchanged_and_the_address_follows(person: Client, ada: User) -> None:
    make(ada, "Only", status="pending")
    answer = person.get("/records/rows?status=pending&kind=&q=", headers={"HX-Request": "true"})
    assert answer.headers["HX-Push-Url"] == "/records?status=pending"
    assert "<html" not in answer.content.decode()
    assert person.get("/records/rows?status=pending").headers["Location"] == "/records?status=pending"


def test_one_record_shows_all_of_it_as_text(person: Client, ada: User) -> None:
    evil = "<script>alert(1)</script>"
    record = make(ada, evil, content=f"Words {evil}", summary=evil, tags=[evil], metadata={evil: [evil]}, key=evil)
    for path in (f"/records/{record.public_id}", "/records", "/records?q=words"):
        text = page(person, path)
        assert evil not in text
        assert "&lt;script&gt;" in text


def test_anothers_record_is_not_found(person: Client) -> None:
    theirs = make(User.objects.create_user("bob"), "Theirs")
    assert person.get(f"/records/{theirs.public_id}").status_code == 404


def test_the_export_follows_the_filter_and_is_not_offered_for_a_search(person: Client, ada: User) -> None:
    make(ada, "Paper invoice", status="pending")
    rows = person.get("/records/rows?status=pending", headers={"HX-Request": "true"}).content.decode()
    assert re.search(
        r'id="record-actions" hx-swap-oob="true"><a [^>]*export\?filter_status=pending">Export these', rows
    )
    found = person.get("/records/rows?q=invoice", headers={"HX-Request": "true"}).content.decode()
    assert "Paper invoice" in found
    assert "operations/export" not in found


def test_a_record_leads_back_to_what_was_chosen(person: Client, ada: User) -> None:
    record = make(ada, "Paper invoice", status="pending")
    link = f"/records/{record.public_id}?status=pending"
    assert f'href="{link}"' in page(person, "/records?status=pending")
    assert 'href="/records?status=pending">← The records you chose' in page(person, link)
    assert 'href="/records">← Your records' in page(person, f"/records/{record.public_id}")
