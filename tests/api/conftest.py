"""Alice, Bob who owns something else, and staff; each with a client that carries their key."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from PIL import Image

from batches.models import ApiKey, Batch
from batches.options import BatchOptions, NewBatch, NewItem
from batches.submission import submit_batch


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    """Files go to a folder of the test."""
    settings.MEDIA_ROOT = tmp_path / "files"
    return Path(settings.MEDIA_ROOT)


def client_of(user: User) -> Client:
    """A client that sends a fresh key of this user."""
    _, secret = ApiKey.issue(owner_id=user.pk, name="test")
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_user("sam", is_staff=True)


@pytest.fixture
def client(alice: User) -> Client:
    """Alice's."""
    return client_of(alice)


@pytest.fixture
def bobs_client(bob: User) -> Client:
    return client_of(bob)


@pytest.fixture
def anonymous() -> Client:
    return Client(raise_request_exception=False)


Submit = Callable[..., Batch]


@pytest.fixture
def submit(alice: User) -> Submit:
    """Store a batch of Alice's, or of another owner."""

    def run(operation: str = "rate_photos", count: int = 3, owner: User = alice, **options: Any) -> Batch:
        if operation == "sms":
            items = [
                NewItem(f"+1415555{2000 + i}", {"to": f"+1415555{2000 + i}", "variables": {}}) for i in range(count)
            ]
        else:
            items = [NewItem(f"img{i}", {"filename": f"{i}.jpg", "url": f"https://x.test/{i}"}) for i in range(count)]
        provider = "twilio" if operation == "sms" else "openai-gpt-5"
        new = NewBatch(
            operation=operation,
            provider=provider,
            items=items,
            parameters={"text": "Hello", "prompt": "p", "systemPrompt": "s"},
            options=BatchOptions(**options),
            subject="shoot1",
        )
        return submit_batch(owner_id=owner.pk, new=new)

    return run


def jpeg(size: tuple[int, int] = (8, 8)) -> bytes:
    """A small real photo."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def end_items(batch: Batch, status: str, positions: list[int], **changes: Any) -> None:
    """Make items final as the recorder would: rows and counters together."""
    count = batch.items.filter(position__in=positions).update(status=status, finished_at=Now(), **changes)
    Batch.objects.filter(pk=batch.pk).update(**{status: F(status) + count})
    batch.refresh_from_db()


def settle(batch: Batch, status: str = "completed") -> None:
    """Close a batch as the dispatcher would."""
    Batch.objects.filter(pk=batch.pk).update(status=status, completed_at=Now(), settled_at=Now())
    batch.refresh_from_db()


def problems_of(response: Any) -> dict[str, str]:
    """Path to code of a 400, its shape checked on the way."""
    body = response.json()
    assert response.status_code == 400, body
    assert body["success"] is False
    assert body["error"]
    return {one["path"]: one["code"] for one in body["details"]["errors"] if one["message"]}
