"""The pages without a browser: who sees what, and what the buttons do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batches.models import AuditEntry, Batch, Item, StoredFile
from batches.pages.presentation import item_row, verbs
from batches.templatetags.humane import duration
from batches.text_messages.masking import masked
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def add_items(batch: Batch, count: int, **changes: Any) -> None:
    Item.objects.bulk_create([Item(batch=batch, position=n, key=f"img{n}", **changes) for n in range(count)])


@pytest.mark.parametrize("path", ["/", "/batches/batch_1_a", "/batches/batch_1_a/"])
def test_it_asks_people_to_sign_in(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/login")


@pytest.mark.parametrize("slash", ["", "/"])
def test_people_sign_in_and_out(client: Client, alice: User, slash: str) -> None:
    answer = client.post(f"/login{slash}", {"username": "alice", "password": "correct horse"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    assert client.post(f"/logout{slash}").headers["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_a_wrong_password_is_refused(client: Client, alice: User) -> None:
    page = client.post("/login", {"username": "alice", "password": "wrong"}).content.decode()
    assert "do not match" in page


def test_it_tells_a_newcomer_where_the_password_is(client: Client) -> None:
    assert "the key that <code>bin/up</code> shows" in text(client, "/login")


def test_it_tells_a_newcomer_how_to_start(browser: Client) -> None:
    page = text(browser, "/")
    assert "No batches yet" in page
    assert "rate_photos FOLDER" in page
    assert "{{name}}" in page


def test_it_lists_the_users_own_batches_only(browser: Client, alice: User) -> None:
    make_batch(alice, name="Mine")
    make_batch(User.objects.create_user("bob"), name="Theirs")
    page = text(browser, "/")
    assert "Mine" in page
    assert "Theirs" not in page


def test_the_list_is_paged_and_asks_few_queries(browser: Client, alice: User) -> None:
    for number in range(51):
        make_batch(alice, name=f"Number {number:02}")
    with CaptureQueriesContext(connection) as queries:
        first = text(browser, "/")
    assert len(queries) <= 4
    assert "Number 50" in first
    assert "Number 00" not in first
    oldest_shown = Batch.objects.get(name="Number 01")
    second = text(browser, f"/?older={oldest_shown.public_id}")
    assert "Number 00" in second
    assert "Number 01" not in second
    assert f"newer={Batch.objects.get(name='Number 00').public_id}" in second


def test_anothers_batch_is_not_found(browser: Client) -> None:
    theirs = make_batch(User.objects.create_user("bob"))
    answer = browser.get(f"/batches/{theirs.public_id}")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert browser.post(f"/batches/{theirs.public_id}/cancel").status_code == 404
    theirs.refresh_from_db()
    assert theirs.status == "running"


def test_it_shows_a_photos_rating(browser: Client, alice: User) -> None:
    batch = make_batch(alice, total=1, succeeded=1)
    result = {"starRating": 4, "colorLabel": "green", "title": "First <dance>"}
    add_items(batch, 1, status="succeeded", finished_at=timezone.now(), result=result, input={"filename": "a.jpg"})
    page = text(browser, f"/batches/{batch.public_id}")
    for expected in ("4 of 5 stars", "★★★★☆", "swatch green", "First &lt;dance&gt;", "a.jpg", "100 %"):
        assert expected in page


def test_phone_numbers_are_masked(browser: Client, alice: User) -> None:
    batch = make_batch(alice, operation="sms", channel="sms", total=1)
    add_items(batch, 1, input={"to": "+15005550123", "variables": {}})
    page = text(browser, f"/batches/{batch.public_id}")
    assert "•••••••••123" in page
    assert "15005550" not in page


def test_short_and_empty_numbers_are_masked_too() -> None:
    assert [masked(number) for number in ("", "12", "1234")] == ["", "12", "•234"]


def test_errors_are_grouped_by_category_and_code(browser: Client, alice: User) -> None:
    batch = make_batch(alice, failed=2)
    add_items(batch, 2, status="failed", finished_at=timezone.now(), error_category="server", error_code="http_500")
    batch.items.filter(position=1).update(error_message="It <broke>.")
    page = text(browser, f"/batches/{batch.public_id}")
    shown = '<code>http_500</code></td><td class="full">It &lt;broke&gt;.</td>'
    assert f'{shown}<td data-label="Items" class="number">2</td>' in page
    assert f"/batches/{batch.public_id}?category=server&amp;code=http_500#items" in page


def test_a_photos_error_is_hidden_from_its_owner_while_it_may_be_retried(alice: User) -> None:
    batch = make_batch(alice)
    waiting = Item(batch=batch, position=0, key="a", error_code="http_500", error_message="It broke.")
    assert item_row(batch, waiting, alice).error == ""
    alice.is_staff = True
    assert item_row(batch, waiting, alice).error == "It broke."


def test_other_operations_show_what_they_returned(alice: User) -> None:
    batch = make_batch(alice, operation="transform")
    item = Item(batch=batch, position=0, key="a", status="succeeded", result={"rows": 3})
    assert item_row(batch, item, alice).summary == '{"rows": 3}'
    item.result = ["odd"]
    assert item_row(batch, item, alice).summary == ""


def test_items_are_paged_without_being_counted(browser: Client, alice: User) -> None:
    batch = make_batch(alice, total=120)
    add_items(batch, 120)
    with CaptureQueriesContext(connection) as queries:
        page = text(browser, f"/batches/{batch.public_id}?after=99")
    assert "img119" in page
    assert "img99<" not in page
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"] and "batches_item" in query["sql"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "pending"}, ["start", "cancel"]),
        ({"status": "running"}, ["pause", "cancel"]),
        ({"status": "running", "failed": 1}, ["pause", "retry", "cancel"]),
        ({"status": "paused"}, ["resume", "cancel"]),
        ({"status": "completed", "failed": 1}, ["retry"]),
        ({"status": "cancelled", "failed": 1}, []),
    ],
)
def test_buttons_follow_the_status(alice: User, changes: dict[str, Any], expected: list[str]) -> None:
    assert [verb.name for verb in verbs(make_batch(alice, **changes))] == expected


@pytest.mark.parametrize(
    ("before", "verb", "after"),
    [("pending", "start", "running"), ("running", "pause", "paused"), ("paused", "resume", "running"),
     ("running", "cancel", "cancelled")],
)  # fmt: skip
def test_buttons_call_the_services(browser: Client, alice: User, before: str, verb: str, after: str) -> None:
    batch = make_batch(alice, status=before)
    answer = browser.post(f"/batches/{batch.public_id}/{verb}", follow=True)
    batch.refresh_from_db()
    assert batch.status == after
    assert 'class="message success"' in answer.content.decode()
    assert AuditEntry.objects.get().actor == alice


def test_failed_items_run_again(browser: Client, alice: User) -> None:
    batch = make_batch(alice, status="failed", total=2, failed=2)
    add_items(batch, 2, status="failed", finished_at=timezone.now())
    page = browser.post(f"/batches/{batch.public_id}/retry", follow=True).content.decode()
    assert "2 failed items run again." in page
    batch.refresh_from_db()
    assert (batch.status, batch.failed) == ("running", 0)


@pytest.mark.parametrize(("verb", "message"), [("pause", "cannot be changed by pause"), ("explode", "no such action")])
def test_a_refusal_is_a_message(browser: Client, alice: User, verb: str, message: str) -> None:
    batch = make_batch(alice, status="completed")
    assert message in browser.post(f"/batches/{batch.public_id}/{verb}", follow=True).content.decode()


def test_buttons_need_a_form_of_ours(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    batch = make_batch(alice)
    answer = strict.post(f"/batches/{batch.public_id}/cancel")
    assert (answer.status_code, "nothing was changed" in answer.content.decode()) == (403, True)
    assert browser_get_is_refused(strict, batch)


def browser_get_is_refused(client: Client, batch: Batch) -> bool:
    return client.get(f"/batches/{batch.public_id}/cancel").status_code == 405


def test_pages_load_nothing_inline_and_nothing_from_elsewhere(browser: Client, alice: User) -> None:
    batch = make_batch(alice)
    for path in ("/", f"/batches/{batch.public_id}"):
        answer = browser.get(path)
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        page = answer.content.decode()
        assert "style=" not in page
        assert "onclick" not in page
        assert page.count("<script") == len(re.findall(r'<script (type="module" )?src="/static/', page))


@pytest.mark.parametrize(("seconds", "expected"), [(5, "5 s"), (65, "1 min 5 s"), (4000, "1 h 6 min")])
def test_durations_are_read_by_people(seconds: int, expected: str) -> None:
    assert duration(seconds) == expected


def test_what_a_batch_made_is_offered_also_where_it_failed(browser: Client, alice: User) -> None:
    """An import of which no row could be written says why in a file."""
    batch = make_batch(alice, operation="import", finishes=True, status="failed", total=1, error="errors.csv says why.")
    made = StoredFile.objects.create(
        owner=alice, batch=batch, for_batch=True, is_result=True, name="errors.csv", media_type="text/csv", size=9
    )
    assert f'href="/api/files/{made.public_id}"' in text(browser, f"/batches/{batch.public_id}")
