"""A whole run as a person sees it: real dispatcher, worker and sandbox behind the page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from batches.operations.photos.rate_photos import build_photo_batch
from batches.submission import submit_batch
from tests.browser.conftest import WebProcess
from tests.engine_fixture import Engine, engine
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["engine"]  # pytest finds the fixture by its name here
PHOTOS = 60


@pytest.fixture
def web(engine: Engine, tmp_path: Path) -> Iterator[WebProcess]:
    """A web process of the engine's own stack."""
    process = WebProcess(tmp_path / "web.log", engine.environment)
    process.start()
    try:
        yield process
    finally:
        process.end()


def test_photos_are_watched_paused_hurried_and_retried(
    visit: Any, alice: User, web: WebProcess, sandbox: SandboxServer
) -> None:
    sandbox.configure(permanent_error_rate=0.3)
    images = [
        {"id": f"img{n}", "filename": f"{n}.jpg", "url": f"https://photos.example/{n}.jpg"} for n in range(PHOTOS)
    ]
    body = {"shootId": "harbour", "images": images, "options": {"rateLimit": 60, "retries": 0}}
    batch = submit_batch(owner_id=alice.pk, new=build_photo_batch(alice.pk, body))
    there = visit()
    there.site = web.address
    there.sign_in(f"/batches/{batch.public_id}")
    page = there.page
    status = page.locator("h1 [data-status]")
    expect(page.locator("[data-finished]")).to_have_text(re.compile(r"^[1-9]"), timeout=30_000)
    page.get_by_role("button", name="Pause").click()
    expect(status).to_have_text("paused")
    expect(page.get_by_text("It is paused")).to_be_visible()
    page.get_by_text("Change speed, priority or budget").click()
    page.get_by_label("Calls a minute").fill("")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_text("Changed.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(status).to_have_text("completed", timeout=30_000)
    expect(page.locator("[data-count=waiting]")).to_have_text("0")
    failed = page.locator("[data-count=failed]")
    expect(failed).not_to_have_text("0")
    expect(page.locator("#errors")).to_contain_text("content_policy_violation")
    there.look("real-failed")
    sandbox.configure(permanent_error_rate=0)
    page.get_by_role("button", name="Retry failed").click()
    expect(failed).to_have_text("0", timeout=30_000)
    expect(status).to_have_text("completed", timeout=30_000)
    expect(page.locator("[data-count=succeeded]")).to_have_text(str(PHOTOS))
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of results").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == PHOTOS
    assert {row["status"] for row in rows} == {"succeeded"}
