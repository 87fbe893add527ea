"""The pages as a person sees them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from playwright.sync_api import expect

from batches.models import Batch, Item
from batches.progress import BatchFacts, Publisher
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db(transaction=True)

LABELS = ("green", "yellow", "red", "none", "blue", "purple")


def rating(number: int) -> dict[str, Any]:
    return {
        "starRating": number % 5 + 1,
        "colorLabel": LABELS[number % len(LABELS)],
        "title": "First dance under the lanterns",
        "description": "",
        "tags": [],
    }


def photo_batch(owner: User) -> Batch:
    batch = make_batch(owner, name="Photos of shoot123", total=60, succeeded=20, failed=2, unknown=1)
    items = [Item(batch=batch, position=n, key=f"img{n}", input={"filename": f"DSC_{n:04}.jpg"}) for n in range(60)]
    for number, item in enumerate(items[:23]):
        item.attempts = 1
        item.finished_at = batch.started_at
        item.status = "succeeded" if number < 20 else "failed" if number < 22 else "unknown"
        if number < 20:
            item.result = rating(number)
        else:
            item.error_category, item.error_code = "content", "invalid_answer"
            item.error_message = "The model's answer does not have the form that was asked for."
    Item.objects.bulk_create(items)
    return batch


def change(batch: Batch, **changes: Any) -> None:
    """As the recorder does: commit, then tell."""
    Batch.objects.filter(pk=batch.pk).update(**changes)
    batch.refresh_from_db()
    publisher = Publisher()
    publisher._latest[batch.pk, "progress"] = ("progress", BatchFacts.of(batch))
    publisher.flush()


def test_a_batch_is_watched_to_its_end_without_a_reload(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in()
    there.look("list-wide")
    page = there.page
    page.get_by_role("link", name="Photos of shoot123").click()
    page.evaluate("window.neverReloaded = true")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    there.look("detail-wide")
    change(batch, succeeded=42)
    expect(page.locator("[data-percent]")).to_have_text("75 %")
    expect(page.locator("[data-count=succeeded]")).to_have_text("42")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    change(batch, succeeded=57, status="completed", completed_at=Now(), settled_at=Now())
    expect(page.locator("h1 [data-status]")).to_have_text("completed")
    expect(page.locator("[data-watch] [data-part=succeeded]")).to_have_attribute("width", "95.000%")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page).to_have_title(re.compile("^100 %"))
    assert page.evaluate("window.neverReloaded")
    there.look("detail-completed-wide")


def test_a_batch_is_paused_resumed_and_cancelled(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("h1 [data-status]")).to_have_text("paused")
    page.get_by_role("button", name="Resume").press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1 [data-status]")).to_have_text("cancelled")


def test_the_list_is_live_and_shows_new_batches(visit: Any, alice: User) -> None:
    batch = make_batch(alice)
    there = visit()
    there.sign_in()
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    change(batch, succeeded=5)
    expect(page.locator("[data-percent]")).to_have_text("50 %")
    change(make_batch(alice, name="Another"))
    expect(page.get_by_role("link", name="Another")).to_be_visible()


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_scrolls_in_one_direction_only(visit: Any, alice: User, width: int) -> None:
    batch = photo_batch(alice)
    there = visit(width)
    there.page.goto(there.site + "/login")
    assert there.overflow() == 0
    there.look(f"login-{width}")
    there.sign_in_by_form("/login")
    expect(there.page.get_by_role("link", name=batch.name)).to_be_visible()
    assert there.overflow() == 0
    there.look(f"list-{width}")
    there.page.goto(f"{there.site}/batches/{batch.public_id}")
    expect(there.page.locator("[data-connection]")).to_have_text("Live")
    assert there.overflow() == 0
    there.look(f"detail-{width}")


def test_nobody_with_no_batches_is_told_how_to_start(visit: Any, alice: User) -> None:
    there = visit(360)
    there.sign_in()
    expect(there.page.get_by_role("heading", name="No batches yet")).to_be_visible()
    expect(there.page.locator("[data-connection]")).to_have_text("Live")
    assert there.overflow() == 0
    there.look("empty-360")


def test_it_is_dark_where_the_system_is(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit(color_scheme="dark")
    there.sign_in(f"/batches/{batch.public_id}")
    expect(there.page.locator("[data-connection]")).to_have_text("Live")
    red, green, blue = (
        int(part) for part in re.findall(r"\d+", there.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    )
    assert max(red, green, blue) < 64
    there.look("detail-dark")


def test_a_wrong_password_is_refused_in_words(visit: Any, alice: User) -> None:
    there = visit()
    there.page.goto(there.site + "/login")
    there.page.get_by_label("User name").fill("alice")
    there.page.get_by_label("Password").fill("wrong")
    there.page.get_by_label("Password").press("Enter")
    expect(there.page.get_by_role("alert")).to_contain_text("do not match")


def test_the_list_is_fetched_while_the_socket_stays_down(visit: Any, alice: User) -> None:
    batch = make_batch(alice)
    there = visit()
    there.page.route_web_socket(re.compile("/ws"), lambda socket: socket.close(code=1011))
    there.sign_in()
    page = there.page
    expect(page.locator("[data-connection]")).to_contain_text("asking every few seconds", timeout=15_000)
    Batch.objects.filter(pk=batch.pk).update(succeeded=5)
    expect(page.locator("[data-percent]")).to_have_text("50 %", timeout=15_000)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")


def test_it_asks_the_api_while_the_socket_stays_down(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.page.route_web_socket(re.compile("/ws"), lambda socket: socket.close(code=1011))
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    expect(page.locator("[data-connection]")).to_contain_text("asking every few seconds", timeout=15_000)
    Batch.objects.filter(pk=batch.pk).update(succeeded=42)
    expect(page.locator("[data-percent]")).to_have_text("75 %", timeout=15_000)
