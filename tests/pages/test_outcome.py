"""What finishing made of a batch: whatever an operation says is shown in words, within bounds, as text."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.pages.outcome import Listing, made
from tests.live.conftest import make_batch


def test_counts_lists_and_texts_are_told_apart() -> None:
    told = "A long finding. " * 40
    shown = made(
        {
            "files": [{"name": "failures.csv", "fileId": "file_1"}],
            "checked": 12_300,
            "dryRun": False,
            "byCategory": {"length": 200, "wrong_type": 3},
            "overall": {"summary": told, "themes": ["late", "lost"]},
            "mostCommon": [{"path": "title", "records": 200}, {"path": "kind"}],
            "note": "",
        }
    )
    assert shown is not None
    assert shown.facts == [
        ("Checked", "12,300"),
        ("Dry run", "no"),
        ("By category: length", "200"),
        ("By category: wrong type", "3"),
        ("Overall: themes", "late, lost"),
    ]
    assert shown.texts == [("Overall: summary", told)]
    assert shown.listings == [Listing("Most common", ["Path", "Records"], [["title", "200"], ["kind", "–"]], 0)]


@pytest.mark.parametrize("outcome", [None, [], "done", 5])
def test_what_is_no_document_says_nothing(outcome: Any) -> None:
    assert made(outcome) is None


def test_an_endless_outcome_ends_on_the_page() -> None:
    shown = made(
        {"rows": [{f"c{n}": n for n in range(50)}] * 500, "text": "x" * 100_000, "deep": {"a": {"b": [1] * 500}}}
    )
    assert shown is not None
    (listing,) = shown.listings
    assert (len(listing.heads), len(listing.rows), listing.more) == (6, 20, 480)
    assert len(shown.texts[0][1]) == 5_000
    assert len(shown.facts[0][1]) == 301


@pytest.mark.django_db
def test_it_stands_on_the_page_as_text(browser: Client, alice: User) -> None:
    hostile = "<script>alert(1)</script>"
    batch = make_batch(alice, operation="validate", status="completed")
    batch.outcome = {"invalid": 2, hostile: hostile, "rows": [{hostile: hostile}]}
    batch.save()
    page = browser.get(f"/batches/{batch.public_id}").content.decode()
    assert "What came of it" in page
    assert "<dt>Invalid</dt><dd>2</dd>" in page
    assert "<script>alert" not in page
    assert "What came of it" in browser.get(f"/batches/{batch.public_id}/state").content.decode()
    assert "What came of it" not in browser.get(f"/batches/{make_batch(alice).public_id}").content.decode()
