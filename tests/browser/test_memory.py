"""What a page holds while a large batch runs does not grow: not with events, and not with the pieces it exchanges."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from batches.models import Batch
from benchmarks.browser import Gauge
from tests.browser.test_live_page import change, photo_batch

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = 100_000
EVENTS_A_SECOND = 10
EXCHANGES = int(os.environ.get("WATCHED_EXCHANGES", "4"))
"""Of all pieces of the page, three seconds apart; a long run asks for more."""
MOST_GROWTH_BYTES = 500_000
MOST_NEW_NODES = 300
"""Figures that get longer, a bar or two: not a table of fifty rows that stayed."""


@pytest.mark.parametrize("path", ["/batches/{id}", "/"])
def test_a_page_that_watches_holds_no_more_after_many_events(visit: Any, alice: User, path: str) -> None:
    batch = photo_batch(alice)
    Batch.objects.filter(pk=batch.pk).update(total=TOTAL)
    there = visit()
    there.sign_in(path.format(id=batch.public_id))
    page = there.page
    expect(page.locator("[data-connection]")).to_have_text("Live")
    gauge = Gauge(page.context, page)
    done = exchanged = 0

    def run(exchanges: int) -> None:
        nonlocal done
        wanted = exchanged + exchanges
        while exchanged < wanted:
            done += 100
            change(batch, succeeded=done, status="running")
            if path == "/" and done % 3_000 == 0:
                change(batch, status="paused")  # the list is fetched anew where a status changed
            page.wait_for_timeout(1_000 / EVENTS_A_SECOND)

    def finished(request: Any) -> None:
        nonlocal exchanged
        exchanged += "X-Refresh" in request.headers or "x-refresh" in request.headers

    page.on("requestfinished", finished)
    run(2)
    before = gauge.read()
    run(EXCHANGES)
    after = gauge.read()
    assert after.heap - before.heap < MOST_GROWTH_BYTES
    assert after.nodes - before.nodes < MOST_NEW_NODES
    assert after.listeners - before.listeners < MOST_NEW_NODES / 10
