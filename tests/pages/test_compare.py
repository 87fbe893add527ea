"""Two batches side by side."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches.models import Batch, BatchHistogram, Item
from batches.pages import comparing
from batches.pages.comparing import agreement, lines, partners
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db


def rated(owner: User, keys: list[str], qualities: list[float], **changes: object) -> Batch:
    batch = make_batch(owner, total=len(keys), succeeded=len(keys), status="completed", **changes)
    Item.objects.bulk_create(
        Item(
            batch=batch, position=n, key=key, status="succeeded", finished_at=timezone.now(), quality=quality,
            result={"starRating": round(quality * 4) + 1, "title": f"Picture {key}"}, input={"filename": f"{key}.jpg"},
        )
        for n, (key, quality) in enumerate(zip(keys, qualities, strict=True))
    )  # fmt: skip
    return batch


def test_it_says_who_was_better_and_where(alice: User) -> None:
    left, right = make_batch(alice, succeeded=9, failed=1), make_batch(alice, succeeded=5, failed=5)
    for batch, bucket in ((left, 200), (right, 100)):
        BatchHistogram.objects.create(batch=batch, measure="duration", bucket=bucket, count=10)
    by_label = {line.label: line for line in lines(left, right, timezone.now())}
    success = by_label["Success rate"]
    assert (success.left, success.right, success.better) == ("90.0 %", "50.0 %", "left")
    assert by_label["Half of the calls took at most"].better == "right"
    assert by_label["Items"].better == ""
    assert "Cost" not in by_label


def test_items_are_matched_by_their_ids(browser: Client, alice: User) -> None:
    left = rated(alice, ["a", "b", "c"], [0.0, 0.5, 1.0], name="One")
    right = rated(alice, ["b", "a", "d"], [0.75, 0.0, 0.25], name="Other")
    page = browser.get(f"/compare?left={left.public_id}&right={right.public_id}").content.decode()
    assert "2 items have the same id; 2 of them ended the same way" in page
    assert "1 of 2 were judged the same (+0.12 on average)" in page
    assert page.count("no item of this id") == 1
    assert "+0.25" in page


def test_beyond_a_bound_ids_are_looked_for_nearby_only(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = rated(alice, ["a", "b", "c"], [0.0] * 3), rated(alice, ["x", "y", "z", "a"], [0.0] * 4)
    items = list(left.items.order_by("position"))
    assert set(partners(right, items)) == {"a"}
    assert agreement(left, right) is not None
    monkeypatch.setattr(comparing, "MOST_MATCHED", 3)
    assert not partners(right, items)
    assert agreement(left, right) is None


def test_the_items_have_pages(browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "ITEMS_PER_PAGE", 2)
    batch = rated(alice, ["a", "b", "c"], [0.0, 0.5, 1.0])
    path = f"/compare?left={batch.public_id}&right={batch.public_id}"
    assert "after=1" in browser.get(path).content.decode()
    page = browser.get(f"{path}&after=1").content.decode()
    assert ("c.jpg" in page, "a.jpg" in page, "after=" in page.partition("Item by item")[2]) == (True, False, False)


def test_anothers_batch_is_none_of_theirs(browser: Client, alice: User, bob: User) -> None:
    mine, theirs = make_batch(alice, name="Mine"), make_batch(bob, name="Theirs")
    page = browser.get(f"/compare?left={mine.public_id}&right={theirs.public_id}").content.decode()
    assert "None of your batches has this id." in page
    assert "Theirs" not in page
    assert "Item by item" not in page


@pytest.mark.parametrize("query", ["", "left=x%00&right=", "left=" + "x" * 99])
def test_it_asks_for_two(browser: Client, query: str) -> None:
    assert browser.get(f"/compare?{query}").status_code == 200
