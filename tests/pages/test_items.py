"""A batch's items: filters, pages, one item's story, its photo, and running some of them again."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image

from batches.extraction.readers import readers
from batches.files import Upload, store_uploads
from batches.models import Batch, Item, ItemError
from batches.pages import detail, item_pages
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db

HX = {"HX-Request": "true"}


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def numbers(page: str) -> list[int]:
    return [int(number) + 1 for number in re.findall(r'id="item-(\d+)"', page)]


def mixed(owner: User, **changes: Any) -> Batch:
    """Six photos: two succeeded, two failed, one is tried again, one waits."""
    batch = make_batch(owner, total=6, succeeded=2, failed=2, **changes)
    items = [Item(batch=batch, position=n, key=f"img{n}", input={"filename": f"{n}.jpg"}) for n in range(6)]
    for item in items[:4]:
        item.finished_at, item.attempts = timezone.now(), 1
        item.status = "succeeded" if item.position < 2 else "failed"
    for item in items[2:5]:
        item.error_category, item.error_code, item.error_message = "server", "http_500", "It <b>broke</b>."
        item.attempts = 2
    items[4].due_at = timezone.now() + timedelta(minutes=1)
    Item.objects.bulk_create(items)
    for item in items[2:5]:
        ItemError.objects.create(item=item, batch=batch, code="http_500", category="server", message="It <b>broke</b>.")
    return batch


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("status=failed", [3, 4]),
        ("status=succeeded", [1, 2]),
        ("status=pending", [5, 6]),
        ("status=cancelled", []),
        ("category=server", [3, 4]),
        ("code=http_500", [3, 4]),
        ("q=IMG5", [6]),
        ("q=%25", []),
        ("status=odd&category=odd", [1, 2, 3, 4, 5, 6]),
        ("after=3", [5, 6]),
        ("before=2", [1, 2]),
        ("after=x&before=y", [1, 2, 3, 4, 5, 6]),
        ("after=99999999999", [1, 2, 3, 4, 5, 6]),
        ("after=2147483647", []),
    ],
)
def test_they_are_filtered(browser: Client, alice: User, query: str, expected: list[int]) -> None:
    assert numbers(text(browser, f"/batches/{mixed(alice).public_id}?{query}")) == expected


def test_staff_find_those_that_are_tried_again_by_their_error(browser: Client, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    page = text(browser, f"/batches/{mixed(alice).public_id}?category=server")
    assert numbers(page) == [3, 4, 5]
    assert "next try" in page


def test_others_learn_nothing_of_them(browser: Client, alice: User) -> None:
    page = text(browser, f"/batches/{mixed(alice).public_id}?status=pending")
    assert "http_500" not in page.partition('id="items"')[2]
    assert "next try" not in page


@pytest.mark.parametrize("query", ["", "q=img", "status=failed"])
def test_pages_lead_forth_and_back(browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setattr(detail, "ITEMS_PER_PAGE", 2)
    monkeypatch.setattr(item_pages, "STRETCH", 3)
    batch = mixed(alice)
    if query == "status=failed":
        batch.items.update(status="failed", finished_at=timezone.now())
    seen, path = [], f"/batches/{batch.public_id}?{query}"
    while path:
        page = text(browser, path)
        seen.append(numbers(page))
        path = follow(page, "next")
    assert seen == [[1, 2], [3, 4], [5, 6]]
    page = text(browser, follow(page, "prev"))
    assert numbers(page) == [3, 4]
    page = text(browser, follow(page, "prev"))
    assert numbers(page) == [1, 2]
    assert not follow(page, "prev")


def follow(page: str, rel: str) -> str:
    link = re.search(rf'rel="{rel}" href="([^"#]+)', page.partition('aria-label="Pages of items"')[2])
    return link.group(1).replace("&amp;", "&") if link else ""


def test_a_search_that_takes_too_long_goes_on_when_asked(
    browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_pages, "STRETCH", 3)
    ticks = iter(range(0, 1000, 10))
    monkeypatch.setattr(item_pages, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(item_pages, "SEARCH_SECONDS", 15)
    first = text(browser, f"/batches/{mixed(alice).public_id}?q=img5")
    assert numbers(first) == []
    assert "Looked through the first 3 of 6 items" in first
    assert numbers(text(browser, follow(first, "next"))) == [6]


def test_an_index_leads_to_those_that_ended_badly(alice: User) -> None:
    batch = make_batch(alice, total=3000, failed=1)
    Item.objects.bulk_create(
        Item(batch=batch, position=n, key=str(n), status="succeeded", finished_at=timezone.now()) for n in range(3000)
    )
    batch.items.filter(position=2999).update(status="failed")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE batches_item")
        cursor.execute(
            "EXPLAIN SELECT * FROM batches_item WHERE batch_id = %s AND status = 'failed' AND position >= 0"
            " ORDER BY position LIMIT 51",
            [batch.pk],
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "item_ended_badly" in plan


def test_the_piece_has_the_pages_address(browser: Client, alice: User) -> None:
    batch = mixed(alice)
    answer = browser.get(f"/batches/{batch.public_id}/items?status=failed&q=", headers=HX)
    assert answer.headers["HX-Push-Url"] == f"/batches/{batch.public_id}?status=failed"
    assert numbers(answer.content.decode()) == [3, 4]
    assert browser.get(f"/batches/{batch.public_id}/items").headers["Location"] == f"/batches/{batch.public_id}#items"


def test_everything_else_is_exchanged_in_place(browser: Client, alice: User) -> None:
    page = browser.get(f"/batches/{mixed(alice).public_id}/state", headers=HX).content.decode()
    for piece in ("holdups", "actions", "cost", "charts", "facts", "errors"):
        assert re.search(rf'id="{piece}"[^>]* hx-swap-oob="true"', page), piece
    assert 'id="items"' not in page


# --- One item --------------------------------------------------------------------------------------


def test_an_items_story(browser: Client, alice: User) -> None:
    batch = mixed(alice)
    batch.items.filter(position=2).update(
        first_attempt_at=timezone.now(), cost=Decimal("0.0008"), provider="grok",
        used={"simulated:input_tokens": 1234}, duration_ms=1500,
    )  # fmt: skip
    page = text(browser, f"/batches/{batch.public_id}/items/2")
    for expected in ("Failed for good", "It &lt;b&gt;broke&lt;/b&gt;.", "grok", "1,234", "$0.0008", "1.5 s", "2.jpg"):
        assert expected in page
    assert "Retry this item" in page
    assert "<b>broke" not in page


def test_its_errors_are_hidden_while_it_is_tried_again(browser: Client, alice: User) -> None:
    page = text(browser, f"/batches/{mixed(alice).public_id}/items/4")
    assert "http_500" not in page
    assert "Next try" not in page
    alice.is_staff = True
    alice.save()
    page = text(browser, f"/batches/{Batch.objects.get().public_id}/items/4")
    assert "http_500" in page
    assert "Next try" in page


def test_a_message_shows_the_end_of_its_number_alone(browser: Client, alice: User) -> None:
    batch = make_batch(alice, operation="sms", channel="sms", provider="twilio", total=1)
    Item.objects.create(
        batch=batch, position=0, key="+15005550123", input={"to": "+15005550123"}, delivery="delivered",
        delivered_at=timezone.now(),
    )  # fmt: skip
    page = text(browser, f"/batches/{batch.public_id}/items/0")
    assert "5005550" not in page
    assert "The message is delivered" in page


@pytest.mark.parametrize("position", ["6", "99999999999", "2147483648", "٣"])
def test_an_item_that_is_not_there_is_not_found(browser: Client, alice: User, position: str) -> None:
    assert browser.get(f"/batches/{mixed(alice).public_id}/items/{position}").status_code == 404


def test_anothers_items_are_not_found(browser: Client, bob: User) -> None:
    batch = mixed(bob)
    for path in ("items", "items/0", "items/0/photo", "state"):
        assert browser.get(f"/batches/{batch.public_id}/{path}", headers=HX).status_code == 404


# --- Photos ----------------------------------------------------------------------------------------


@pytest.fixture
def reading() -> Iterator[None]:
    """The process that makes small pictures ends with the test."""
    yield
    readers().close()


def photo_of(owner: User, content: bytes) -> Batch:
    (stored,) = store_uploads(owner.pk, [Upload("a.jpg", "image/jpeg", content)])
    batch = make_batch(owner, total=1)
    place = {"filename": "a.jpg", "fileId": stored.public_id, "mediaType": "image/jpeg"}
    Item.objects.create(batch=batch, position=0, key="a", input=place)
    return batch


@pytest.mark.usefixtures("reading")
def test_an_uploaded_photo_is_shown_small(browser: Client, alice: User) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1200, 900), "teal").save(picture, "JPEG")
    batch = photo_of(alice, picture.getvalue())
    answer = browser.get(f"/batches/{batch.public_id}/items/0/photo")
    assert answer.headers["Content-Type"] == "image/webp"
    assert "private" in answer.headers["Cache-Control"]
    assert Image.open(io.BytesIO(answer.content)).size == (320, 240)
    assert f"/batches/{batch.public_id}/items/0/photo" in text(browser, f"/batches/{batch.public_id}")


@pytest.mark.usefixtures("reading")
def test_what_cannot_be_read_is_a_sign_and_what_is_no_photo_has_none(browser: Client, alice: User) -> None:
    sign = browser.get(f"/batches/{photo_of(alice, b'nonsense').public_id}/items/0/photo")
    assert (sign.status_code, sign.headers["Content-Type"]) == (200, "image/svg+xml")
    assert browser.get(f"/batches/{mixed(alice).public_id}/items/0/photo").status_code == 404


def test_a_photo_known_by_its_address_is_not_fetched(browser: Client, alice: User) -> None:
    batch = make_batch(alice, total=1)
    Item.objects.create(batch=batch, position=0, key="a", input={"filename": "a", "url": "https://evil.example/a.jpg"})
    page = text(browser, f"/batches/{batch.public_id}/items/0")
    assert "<code>https://evil.example/a.jpg</code>" in page
    assert 'src="https://evil' not in page


# --- Running some of them again --------------------------------------------------------------------


def retry(client: Client, batch: Batch, **fields: Any) -> str:
    return client.post(f"/batches/{batch.public_id}/retry", fields, follow=True).content.decode()


def test_the_chosen_ones_run_again(browser: Client, alice: User) -> None:
    batch = mixed(alice)
    assert "1 failed item runs again." in retry(browser, batch, selected="1", position=["3"])
    assert list(batch.items.filter(status="failed").values_list("position", flat=True)) == [2]


def test_none_chosen_changes_nothing(browser: Client, alice: User) -> None:
    batch = mixed(alice)
    assert "No item was chosen" in retry(browser, batch, selected="1")
    assert batch.items.filter(status="failed").count() == 2


def test_what_is_no_position_is_refused_in_words(browser: Client, alice: User) -> None:
    batch = mixed(alice)
    assert "Must be a list of whole numbers." in retry(browser, batch, selected="1", position=["3", "x"])
    assert batch.items.filter(status="failed").count() == 2


@pytest.mark.parametrize(
    ("place", "expected"),
    [("/batches/x/items/3#items", "/batches/x/items/3#items"), ("https://evil.example/", None),
     ("//evil.example/", None), ("/\\evil.example", None)],
)  # fmt: skip
def test_it_leads_back_to_pages_of_ours(browser: Client, alice: User, place: str, expected: str | None) -> None:
    batch = mixed(alice)
    answer = browser.post(f"/batches/{batch.public_id}/retry", {"next": place})
    assert answer.headers["Location"] == (expected or f"/batches/{batch.public_id}")
