"""Changing a batch's pace by the page's form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import AuditEntry
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db

FORM = {"rateLimit": "", "concurrency": "", "priority": "normal", "maxCost": ""}


def test_the_form_changes_what_it_shows(browser: Client, alice: User) -> None:
    batch = make_batch(alice, rate_limit=30, concurrency=5)
    page = browser.get(f"/batches/{batch.public_id}").content.decode()
    assert 'name="rateLimit" inputmode="decimal" autocomplete="off" value="30"' in page
    assert 'name="concurrency" inputmode="numeric" autocomplete="off" value="5"' in page
    form = FORM | {"rateLimit": " 90.5 ", "priority": "high", "maxCost": "12.50"}
    page = browser.post(f"/batches/{batch.public_id}/change", form, follow=True).content.decode()
    assert "Changed." in page
    batch.refresh_from_db()
    assert (batch.rate_limit, batch.concurrency, batch.priority) == (90.5, None, "high")
    assert batch.max_cost == Decimal("12.50")
    assert AuditEntry.objects.get(action="change").actor == alice


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rateLimit": "fast"}, "Calls a minute: Must be a number."),
        ({"rateLimit": "nan"}, "Calls a minute: Must be above 0"),
        ({"rateLimit": "1e999"}, "Calls a minute: Must be above 0"),
        ({"concurrency": "1.5"}, "Calls at once: Must be a whole number."),
        ({"concurrency": "-1"}, "Calls at once: Must be between"),
        ({"priority": "urgent"}, "Priority: Must be one of"),
        ({"maxCost": "much"}, "Budget: Must be a number"),
        ({"maxCost": "-1"}, "Budget: Must be above 0"),
    ],
)
def test_what_makes_no_sense_is_said_by_field(
    browser: Client, alice: User, changes: dict[str, Any], message: str
) -> None:
    batch = make_batch(alice, rate_limit=30)
    page = browser.post(f"/batches/{batch.public_id}/change", FORM | changes, follow=True).content.decode()
    assert message in page
    batch.refresh_from_db()
    assert batch.rate_limit == 30


def test_what_is_over_has_no_form_and_is_not_changed(browser: Client, alice: User) -> None:
    batch = make_batch(alice, status="completed", rate_limit=30)
    assert 'name="rateLimit"' not in browser.get(f"/batches/{batch.public_id}").content.decode()
    page = browser.post(f"/batches/{batch.public_id}/change", FORM, follow=True).content.decode()
    assert "nothing runs that could run differently" in page
    batch.refresh_from_db()
    assert batch.rate_limit == 30


def test_what_holds_it_back_is_said(browser: Client, alice: User) -> None:
    batch = make_batch(alice, status="paused", held_for="budget")
    assert "Its budget is spent" in browser.get(f"/batches/{batch.public_id}").content.decode()


def test_of_many_warnings_the_first_are_shown(browser: Client, alice: User) -> None:
    batch = make_batch(alice, warnings=[f"Warning {number:04}" for number in range(2000)])
    page = browser.get(f"/batches/{batch.public_id}").content.decode()
    assert "Warning 0004" in page
    assert "Warning 0005" not in page
    assert "There are 2,000 such warnings in all" in page
