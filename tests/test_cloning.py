"""The same batch once more."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.cloning import clone
from batches.files import Upload, store_uploads
from batches.models import Batch, StoredFile
from batches.options import BatchOptions, NewBatch, NewItem
from batches.problems import Conflict
from batches.submission import submit_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def batch(alice: User) -> Batch:
    items = [NewItem(f"img{n}", {"filename": f"{n}.jpg", "url": f"https://a.example/{n}"}) for n in range(3)]
    options = BatchOptions(rate_limit=60, concurrency=4, priority="high", fallbacks=("grok",), max_retries=2)
    new = NewBatch(
        operation="rate_photos", provider="openai-gpt-5", items=items, parameters={"prompt": "Rate."},
        options=options, name="Wedding", subject="shoot1",
    )  # fmt: skip
    return submit_batch(owner_id=alice.pk, new=new)


def test_it_is_the_same_and_waits(batch: Batch) -> None:
    draft = clone(batch)
    assert (draft.status, draft.name, draft.total, draft.succeeded) == ("pending", "Wedding (again)", 3, 0)
    same = ("operation", "provider", "parameters", "subject", "rate_limit", "concurrency", "priority", "fallbacks",
            "max_retries", "mode", "owner_id", "timeout_ms")  # fmt: skip
    assert [getattr(draft, name) for name in same] == [getattr(batch, name) for name in same]
    rows = list(draft.items.order_by("position").values_list("key", "input", "status"))
    assert [row[:2] for row in rows] == list(batch.items.order_by("position").values_list("key", "input"))
    assert {row[2] for row in rows} == {"pending"}
    assert clone(draft).name == "Wedding (again)"


def test_what_has_files_of_its_own_is_not_copied(batch: Batch, tmp_path: Any, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    (stored,) = store_uploads(batch.owner_id, [Upload("a.jpg", "image/jpeg", b"x")], for_batch=True)
    StoredFile.objects.filter(pk=stored.pk).update(batch=batch)
    with pytest.raises(Conflict, match="belong to it alone"):
        clone(batch)
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loaded_at": None}, "still being read"),
        ({"total": 100_001}, "more than 100,000"),
        ({"operation": "gone"}, "not there"),
    ],
)
def test_what_cannot_be_copied_is_refused(batch: Batch, changes: dict[str, Any], message: str) -> None:
    Batch.objects.filter(pk=batch.pk).update(**changes)
    batch.refresh_from_db()
    with pytest.raises(Conflict, match=message):
        clone(batch)
    assert Batch.objects.count() == 1


def test_the_button_leads_to_the_draft(client: Client, alice: User, batch: Batch) -> None:
    client.force_login(alice)
    answer = client.post(f"/batches/{batch.public_id}/clone")
    draft = Batch.objects.latest("pk")
    assert answer.headers["Location"] == f"/batches/{draft.public_id}"
    assert "Start now" in client.get(answer.headers["Location"]).content.decode()


def test_anothers_is_not_copied(client: Client, batch: Batch) -> None:
    client.force_login(User.objects.create_user("bob"))
    assert client.post(f"/batches/{batch.public_id}/clone").status_code == 404
    assert Batch.objects.count() == 1
