"""Work is started by forms and watched to its end: a real browser, web process, dispatcher, worker and sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from batches.models import Batch, StoredFile
from batches.samples.photos import sample_photos
from records.models import Record
from tests.browser.conftest import PASSWORD, WebProcess
from tests.engine_fixture import Engine, engine
from tests.sandbox_fixture import SandboxServer

__all__ = ["engine"]

pytestmark = pytest.mark.django_db(transaction=True)

WAIT_MS = 30_000


@pytest.fixture(scope="module")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process that shares the engine's Redis names, files and sandbox."""
    web = WebProcess(tmp_path_factory.mktemp("web") / "web.log", engine.environment)
    try:
        web.start()
        yield web.address
    finally:
        web.end()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "shoot"
    folder.mkdir()
    found = []
    for photo, _ in zip(sample_photos(), range(8), strict=False):
        path = folder / photo.name
        path.write_bytes(photo.content)
        found.append(path)
    return found


def watch_to_its_end(page: Page) -> None:
    expect(page.locator("h1 [data-status]")).to_have_text("completed", timeout=WAIT_MS)
    expect(page.locator("[data-percent]")).to_have_text("100 %")


def test_from_sign_in_to_a_finished_campaign(visit: Any, alice: User, sandbox: SandboxServer) -> None:
    there = visit()
    there.sign_in_by_form()
    page = there.page
    page.get_by_role("link", name="New batch").first.click()
    page.get_by_role("link", name="Text messages").click()
    page.get_by_label("Recipients").fill(
        "phone,first name\n+15005550010,Ada\n+15005550012,Grace\nnobody,Bob\n+15005550011,Edsger\n"
    )
    page.get_by_role("button", name="{{first_name}}").click()
    message = page.get_by_role("textbox", name="Message")
    expect(message).to_be_focused()
    message.press("Home")
    message.press_sequentially("Hi ")
    message.press("End")
    message.press_sequentially(", your photos are ready.")
    expect(page.locator(".bubble").first).to_have_text("Hi Ada, your photos are ready.")
    start = page.get_by_role("button", name="Send 3 messages")
    expect(start).to_contain_text("$0.02")
    there.look("messages-form")
    start.click()
    expect(page.get_by_text("Some rows cannot be sent to")).to_be_visible()
    expect(message).to_have_value("Hi {{first_name}}, your photos are ready.")
    assert Batch.objects.count() == 0
    page.get_by_label("Leave it out").check()
    page.get_by_label("Priority").select_option("high")
    page.get_by_role("button", name="Send 3 messages").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    watch_to_its_end(page)
    expect(page.locator("#knobs")).to_be_hidden()
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('typed'))") == []
    sent = [entry for entry in sandbox.log() if entry["accepted"] and "Messages" in entry["path"]]
    assert len(sent) == 3
    there.look("messages-finished")


def test_photos_are_uploaded_and_rated(visit: Any, alice: User, sandbox: SandboxServer, photos: list[Path]) -> None:
    there = visit()
    there.sign_in("/new/photos")
    page = there.page
    page.get_by_label("Photos from this computer").set_input_files(photos)
    expect(page.get_by_text("8 uploaded", exact=True)).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".thumbs img")).to_have_count(8)
    for each in page.locator(".thumbs img").all():
        expect(each).to_have_js_property("complete", True)
        assert each.evaluate("image => image.naturalWidth") > 0
    page.get_by_label("What they belong to").fill("Wedding <b>of Ada</b>")
    there.look("photos-form")
    page.get_by_role("button", name="Rate 8 photos").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    watch_to_its_end(page)
    expect(page.get_by_role("heading", name="Wedding <b>of Ada</b>")).to_be_visible()
    assert StoredFile.objects.filter(owner=alice).count() == 8
    there.look("photos-finished")


def test_a_file_that_is_no_photo_is_told_and_the_others_are_kept(visit: Any, alice: User, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing of the kind")
    there = visit()
    there.sign_in("/new/photos")
    page = there.page
    good = next(iter(sample_photos()))
    (tmp_path / good.name).write_bytes(good.content)
    page.get_by_label("Photos from this computer").set_input_files([broken, tmp_path / good.name])
    expect(page.get_by_text("broken.jpg: The file is not a JPEG")).to_be_visible()
    expect(page.locator(".thumbs img")).to_have_count(1)
    there.complaints = [each for each in there.complaints if "400" not in each]  # the browser's own note of the refusal


def test_a_list_that_cannot_be_read_is_told_where_it_is_seen(visit: Any, alice: User) -> None:
    there = visit()
    there.sign_in("/new/messages")
    page = there.page
    for name, content, words in [
        ("twice.csv", b"phone,name,name\n+15005550010,A,B\n", "name of an earlier column"),
        ("half.xlsx", b"PK\x03\x04 broken", "not a whole XLSX file"),
        ("nobody.csv", b"name,city\nAda,London\n", "No column looks like phone numbers"),
    ]:
        page.get_by_label("A list as a file").set_input_files({"name": name, "mimeType": "", "buffer": content})
        expect(page.locator("#problem-list_file")).to_contain_text(words)
        expect(page.locator("#problem-list_file")).to_be_visible()
    page.get_by_label("take it out").check()
    expect(page.locator("#problem-list_file")).to_be_hidden()
    expect(page.get_by_label("Recipients")).to_be_visible()


def test_one_photo_is_taken_out_before_the_start(visit: Any, alice: User, photos: list[Path]) -> None:
    there = visit()
    there.sign_in("/new/photos")
    page = there.page
    page.get_by_label("Photos from this computer").set_input_files(photos[:3])
    expect(page.get_by_text("3 uploaded", exact=True)).to_be_visible(timeout=WAIT_MS)
    page.get_by_label("Addresses of photos").fill("https://example.com/one.jpg")
    expect(page.get_by_role("button", name="Rate 4 photos")).to_be_visible()
    page.get_by_role("button", name=f"Take out {photos[1].name}").click()
    expect(page.get_by_role("button", name="Rate 3 photos")).to_be_visible()
    expect(page.locator(".thumbs img")).to_have_count(2)
    page.get_by_role("button", name="Take out one.jpg").click()
    expect(page.get_by_role("button", name="Rate 2 photos")).to_be_visible()
    expect(page.get_by_label("Addresses of photos")).to_have_value("")


def test_fields_that_depend_on_others_come_and_go(visit: Any, alice: User) -> None:
    there = visit()
    there.sign_in("/new/photos")
    page = there.page
    deadline = page.get_by_label("Answers are needed by")
    expect(deadline).to_be_hidden()
    page.get_by_label("Mode", exact=True).select_option("economy")
    expect(deadline).to_be_visible()
    page.locator("details", has=page.get_by_label("Calls at once at most")).locator("summary").click()
    instead = page.get_by_role("group", name="Ask instead, in this order")
    expect(instead).to_be_hidden()
    page.get_by_label("While the provider takes no calls").select_option("switch")
    expect(instead.get_by_role("combobox")).to_have_count(3)
    page.get_by_label("Mode", exact=True).select_option("fast")
    expect(deadline).to_be_hidden()


def test_pressed_twice_is_meant_once(visit: Any, alice: User) -> None:
    there = visit()
    there.sign_in("/new/messages")
    page = there.page
    page.get_by_label("Recipients").fill("+15005550010")
    page.get_by_role("textbox", name="Message").fill("Ready.")
    page.get_by_role("button", name="Send 1 message").dblclick()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    page.go_back()
    page.locator("#start").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    assert Batch.objects.count() == 1


@pytest.mark.parametrize("by", ["typing", "sending"])
def test_who_has_to_sign_in_meanwhile_finds_what_they_typed(visit: Any, alice: User, by: str) -> None:
    there = visit()
    there.sign_in("/new/messages")
    page = there.page
    table = {"name": "people.csv", "mimeType": "text/csv", "buffer": b"phone,name\n+15005550010,Ada\n"}
    page.get_by_label("A list as a file").set_input_files(table)
    page.get_by_role("textbox", name="Message").fill("Hi {{name}}")
    page.get_by_label("Priority").select_option("high")
    expect(page.get_by_role("button", name="Send 1 message")).to_be_visible()
    Session.objects.all().delete()
    if by == "typing":
        page.get_by_role("textbox", name="Message").fill("Hi {{name}}!")
    else:
        page.get_by_role("button", name="Send 1 message").click()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".bubble")).to_contain_text("Hi Ada")
    expect(page.get_by_text("people.csv")).to_be_visible()
    expect(page.get_by_label("Priority")).to_have_value("high")
    assert Batch.objects.count() == 0
    page.get_by_role("button", name="Send 1 message").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    assert Batch.objects.get().priority == "high"


def test_a_table_is_imported_found_and_exported(visit: Any, alice: User, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Key,Name,Note\n" + "".join(f"k{n},Person {n},Note {n}\n" for n in range(40)))
    there = visit()
    there.sign_in("/records")
    page = there.page
    page.get_by_role("link", name="Import records").click()
    page.get_by_label("The file").set_input_files(table)
    page.get_by_label("Name", exact=True).select_option("title")
    expect(page.locator("#outlook")).to_contain_text("Person 3", timeout=WAIT_MS)
    there.look("import-form")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    watch_to_its_end(page)
    assert Record.objects.filter(owner=alice, title__startswith="Person ").count() == 40
    page.get_by_role("link", name="Records", exact=True).click()
    page.get_by_label("Search").fill("persom")
    expect(page.get_by_text("40 matches, best first")).to_be_visible()
    page.get_by_role("link", name="Person 7", exact=True).click()
    expect(page.get_by_role("heading", name="Person 7")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Show all records").first.click()
    page.get_by_role("link", name="Export").first.click()
    expect(page.locator("#outlook")).to_contain_text("40")
    page.get_by_role("button", name="Start").click()
    watch_to_its_end(page)
    expect(page.get_by_role("link", name="records.csv")).to_be_visible()


def test_without_scripts_a_campaign_is_sent_as_well(visit: Any, alice: User) -> None:
    there = visit(java_script_enabled=False)
    there.sign_in("/new/messages")
    page = there.page
    page.get_by_label("A list as a file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": b"phone,name\n+15005550010,Ada\n"}
    )
    page.get_by_role("textbox", name="Message").fill("Hi {{name}}")
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".bubble")).to_have_text("Hi Ada")
    page.get_by_role("button", name="Send 1 message").click()
    expect(page).to_have_url(re.compile("/batches/batch_"))
    assert Batch.objects.get().total == 1


@pytest.mark.parametrize(
    "path",
    [
        "/new",
        "/new/messages",
        "/new/photos",
        "/new/operations",
        "/new/operations/import",
        "/new/operations/cleanup?filter_status=active",
        "/records",
    ],
)
def test_a_phone_scrolls_in_one_direction_only(visit: Any, alice: User, path: str) -> None:
    for number in range(3):
        Record.objects.create(owner=alice, title=f"Quite a long title of record number {number} " * 3, tags=["a"] * 9)
    there = visit(360)
    there.sign_in(path)
    expect(there.page.locator("h1")).to_be_visible()
    assert there.overflow() == 0
    there.look(f"phone{path.partition('?')[0].replace('/', '-')}")
