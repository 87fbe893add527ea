"""The dashboard as people use it: they filter, look into what failed, run it again, take files away."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from batches.models import Batch
from tests.browser.conftest import WebProcess
from tests.browser.test_live_page import change, photo_batch
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


def stays(page: Page) -> None:
    """From now on the page may exchange its pieces, but not be loaded anew."""
    page.evaluate("window.neverReloaded = true")


def stayed(page: Page) -> bool:
    return bool(page.evaluate("window.neverReloaded"))


def test_the_list_is_filtered_as_one_types(visit: Any, alice: User) -> None:
    make_batch(alice, name="Harbour festival")
    make_batch(alice, name="Gallery opening", status="completed")
    there = visit()
    there.sign_in()
    page = there.page
    stays(page)
    page.get_by_label("Search").fill("gall")
    expect(page.get_by_role("link", name="Harbour festival")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/\?q=gall$"))
    page.get_by_label("Search").fill("")
    page.get_by_label("Status").select_option("running")
    expect(page.get_by_role("link", name="Gallery opening")).to_have_count(0)
    expect(page.get_by_role("link", name="Harbour festival")).to_be_visible()
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_role("heading", name="No batch matches")).to_be_visible()
    there.look("list-nothing")
    assert stayed(page)
    page.go_back()
    expect(page.get_by_role("link", name="Harbour festival")).to_be_visible()


class Hold:
    """From now on what a person asks for under an address is on its way until the test lets it go on."""

    def __init__(self, page: Page, address: re.Pattern[str]) -> None:
        self._held: list[Route] = []
        self._holds = True
        page.route(address, self._keep)

    def _keep(self, route: Route) -> None:
        if self._holds and "x-refresh" not in route.request.headers:
            self._held.append(route)
        else:
            route.continue_()

    def let_go(self) -> None:
        """The first of them, the only one, goes on, and whatever follows."""
        self._holds = False
        (route,) = self._held
        route.continue_()


def test_who_types_faster_than_the_list_comes_sees_the_last_word(visit: Any, alice: User) -> None:
    make_batch(alice, name="Harbour festival")
    make_batch(alice, name="Gallery opening")
    there = visit()
    there.sign_in()
    page = there.page
    asked = re.compile(r"/batches\?")
    held = Hold(page, asked)
    for letters in ("ga", "gall", "harb"):
        page.get_by_label("Search").fill(letters)
        page.wait_for_timeout(500)
    held.let_go()
    expect(page).to_have_url(re.compile(r"/\?q=harb$"))
    expect(page.get_by_role("link", name="Gallery opening")).to_have_count(0)
    expect(page.get_by_role("link", name="Harbour festival")).to_be_visible()


def test_no_letter_is_lost_that_is_typed_while_items_are_fetched(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    asked = re.compile(r"/items\?")
    held = Hold(page, asked)
    search = page.get_by_label("Search")
    with page.expect_request(re.compile("q=img5")):
        search.press_sequentially("img5")
    search.press_sequentially("9")
    held.let_go()
    expect(page).to_have_url(re.compile(r"q=img59"))
    expect(search).to_have_value("img59")
    expect(search).to_be_focused()
    expect(page.locator("#items .items tbody tr")).to_have_count(1)


def test_what_was_asked_for_is_not_lost_to_a_refresh(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    asked = re.compile(r"/items\?.*status=failed")
    held = Hold(page, asked)
    with page.expect_request(asked):
        page.locator("#item-status").select_option("failed")
    with page.expect_response(re.compile(r"/items\?$")):
        change(batch, succeeded=21, status="paused")  # everything is fetched anew at once
    held.let_go()
    expect(page.locator("#items .items tbody tr")).to_have_count(2)


def test_what_failed_is_found_understood_and_run_again(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    stays(page)
    page.locator("#item-status").select_option("failed")
    expect(page.locator("#items .items tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile("status=failed"))
    retry = page.get_by_role("button", name="Retry the chosen items")
    expect(retry).to_be_disabled()
    page.get_by_role("checkbox", name="Choose all failed items of this page").check()
    expect(page.get_by_role("button", name="Retry 2 items")).to_be_enabled()
    page.get_by_role("checkbox", name="Choose item 21").uncheck()
    assert stayed(page)
    page.get_by_role("link", name="DSC_0020.jpg").click()
    expect(page.get_by_text("does not have the form that was asked for").first).to_be_visible()
    there.look("item-failed")
    page.get_by_role("button", name="Retry this item").click()
    expect(page.get_by_text("1 failed item runs again.")).to_be_visible()
    expect(page.locator("h1")).to_contain_text("pending")
    batch.refresh_from_db()
    assert batch.failed == 1


def test_the_pace_is_changed_while_it_runs(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    page.get_by_text("Change speed, priority or budget").click()
    page.get_by_label("Calls a minute").fill("600")
    page.get_by_label("Priority").select_option("high")
    there.look("pace")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("Changed.")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("600 calls a minute")
    batch.refresh_from_db()
    assert (batch.rate_limit, batch.priority) == (600, "high")


def test_results_are_taken_away_as_they_are_filtered(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}?status=failed")
    page = there.page
    page.get_by_text("Export", exact=True).click()
    there.look("export")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of results").click()
    assert download.value.suggested_filename == "Photos of shoot123 results.csv"
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert [row["filename"] for row in rows] == ["DSC_0020.jpg", "DSC_0021.jpg"]


def test_a_half_chosen_list_is_not_taken_away(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    page.get_by_role("checkbox", name="Choose item 21").check()
    batch.items.filter(position=30).update(key="changed", input={"filename": "changed.jpg"})
    change(batch, succeeded=30, status="paused")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Choose item 21")).to_be_checked()
    page.get_by_role("checkbox", name="Choose item 21").uncheck()
    change(batch, succeeded=31, status="running")
    expect(page.get_by_role("link", name="changed.jpg")).to_be_visible(timeout=10_000)


def test_a_menu_that_was_opened_while_the_list_was_fetched_stays_open(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    held: list[Route] = []
    page.route(re.compile(r"/items"), lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    change(batch, succeeded=30, status="paused")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    wait_until(lambda: bool(held), page)
    page.get_by_text("Export", exact=True).click()
    with page.expect_response(re.compile(r"/items")):
        held[0].continue_()
    page.wait_for_timeout(200)  # for a swap that must not come
    expect(page.get_by_role("link", name="CSV of results")).to_be_visible()


def wait_until(condition: Callable[[], bool], page: Page) -> None:
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came true")


def test_hostile_names_are_words(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    Batch.objects.filter(pk=batch.pk).update(name=HOSTILE, description=HOSTILE)
    hostile = {"starRating": 3, "colorLabel": "red", "title": HOSTILE, "description": HOSTILE, "tags": [HOSTILE]}
    batch.items.filter(position=0).update(key=HOSTILE, result=hostile, input={"filename": HOSTILE})
    there = visit()
    there.sign_in()
    page = there.page
    for path in ("/", f"/batches/{batch.public_id}", f"/batches/{batch.public_id}/items/0"):
        page.goto(there.site + path)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
    change(batch, succeeded=25)
    assert page.title() != "taken"


@pytest.fixture
def restartable(django_db_setup: None, tmp_path: Path) -> Iterator[WebProcess]:
    web = WebProcess(tmp_path / "web.log")
    web.start()
    try:
        yield web
    finally:
        web.end()


def test_it_comes_back_after_the_web_process_was_restarted(restartable: WebProcess, visit: Any, alice: User) -> None:
    # In this order: the page is closed before the process ends for good.
    batch = photo_batch(alice)
    there = visit()
    there.site = restartable.address
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    stays(page)
    state = page.locator("[data-connection]")
    expect(state).to_have_text("Live")
    restartable.stop()
    expect(state).to_contain_text("Connection lost")
    there.look("connection-lost")
    change(batch, succeeded=50)
    restartable.start()
    expect(state).to_have_text("Live", timeout=20_000)
    expect(page.locator("[data-count=succeeded]")).to_have_text("50")
    assert stayed(page)
    # What could not be reached is said in the console, as it should be.
    unexpected = [each for each in there.complaints if "ERR_CONNECTION" not in each and not each.startswith("htmx:")]
    assert unexpected == []
    there.complaints.clear()


def test_it_is_used_by_the_keyboard(visit: Any, alice: User) -> None:
    batch = photo_batch(alice)
    there = visit()
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="← Your batches")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1 [data-status]")).to_have_text("paused")
