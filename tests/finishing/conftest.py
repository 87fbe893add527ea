"""Alice's batches of an operation that counts, loaded, ended and finished as far as a test lets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches import finishing, loading
from batches.models import Batch
from batches.operations import get_operation
from batches.running.recorder import write
from batches.services import submit_batch
from tests import scripted_operations
from tests.engine.ledger import accepted, changes


@pytest.fixture(autouse=True)
def scripted(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.OPERATIONS = {**settings.OPERATIONS, **scripted_operations.OPERATIONS}
    settings.MEDIA_ROOT = tmp_path / "files"
    yield
    get_operation.cache_clear()


@pytest.fixture
def alice() -> User:
    return User.objects.create(username="alice")


def submit(owner: User, number: int, *, finish: str = "write", **payload: Any) -> Batch:
    body = {"number": number, "finish": finish, **payload}
    return submit_batch(owner_id=owner.pk, new=get_operation("count").build(owner.pk, body))


def load_all() -> list[int]:
    chunks = []
    while Batch.objects.filter(loaded_at=None).exists():
        chunks.append(loading.load_chunk())
    return chunks


def end_all(batch: Batch, status: str = "succeeded") -> None:
    """What the worker would do with its items."""
    write(changes(accepted(batch), status))
    batch.refresh_from_db()


def finish_due() -> None:
    for batch_id in finishing.ring():
        finishing.finish_batch(batch_id)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "CHUNK_LINES", 10)


def raising(error: Exception) -> Any:
    def raising(*args: Any, **kwargs: Any) -> Any:
        raise error

    return raising


def ended(owner: User, number: int = 3, **payload: Any) -> Batch:
    """A batch whose items are all final."""
    batch = submit(owner, number, **payload)
    load_all()
    if number:
        end_all(batch)
    return batch
