"""Batches whose items come from a stored file of JSON lines."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import connection

from batches import loading, services
from batches.dispatching.settle import settle, sweep_cancelled
from batches.files import Upload, check_lines, store_uploads
from batches.local_copies import LocalCopies
from batches.models import Batch, Item, StoredFile
from batches.operations.photos.rate_photos import build_photo_batch
from batches.problems import InvalidInput
from batches.services import submit_batch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "CHUNK_LINES", 10)
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def alice() -> User:
    return User.objects.create(username="alice")


def image(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"image-{number}", "url": f"https://example.com/{number}.jpg", **changes}


def store(owner: User, *lines: dict[str, Any] | bytes) -> StoredFile:
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return store_uploads(owner.pk, [check_lines("images.jsonl", ContentFile(content, name="images.jsonl"))])[0]


def submit(owner: User, stored: StoredFile) -> Batch:
    payload = {"shootId": "shoot", "imagesFile": stored.public_id}
    return submit_batch(owner_id=owner.pk, new=build_photo_batch(owner.pk, payload))


def refusal(owner: User, stored: StoredFile) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        submit(owner, stored)
    assert not Batch.objects.exists()
    return {problem.path: problem.code for problem in refused.value.problems}


def load_all() -> list[int]:
    chunks = []
    while loaded := loading.load_chunk():
        chunks.append(loaded)
    return chunks


def test_items_are_loaded_in_chunks_in_the_order_of_the_lines(alice: User) -> None:
    batch = submit(alice, store(alice, *(image(number) for number in range(25))))
    assert (batch.total, batch.items.count(), batch.loaded_at) == (25, 0, None)

    assert load_all() == [10, 10, 5]

    batch.refresh_from_db()
    assert batch.loaded_at is not None
    assert batch.total == 25
    rows = list(batch.items.order_by("position").values_list("position", "key"))
    assert rows == [(number, f"image-{number}") for number in range(25)]


def test_a_load_that_was_cut_off_goes_on_where_it_stood(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = submit(alice, store(alice, *(image(number) for number in range(25))))
    loading.load_chunk()
    with monkeypatch.context() as broken:
        broken.setattr(Batch.objects, "filter", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loading.load_chunk()

    load_all()

    keys = list(batch.items.order_by("position").values_list("key", flat=True))
    assert keys == [f"image-{number}" for number in range(25)]


def test_a_batch_is_not_settled_before_its_last_item_is_loaded(alice: User) -> None:
    batch = submit(alice, store(alice, *(image(number) for number in range(15))))
    loading.load_chunk()
    assert settle() == []

    services.cancel(batch, actor_id=alice.pk)
    sweep_cancelled()
    load_all()
    settle()

    batch.refresh_from_db()
    assert (batch.status, batch.total, batch.cancelled) == ("cancelled", 10, 10)
    assert batch.settled_at is not None


def test_every_bad_line_is_named_by_its_number_and_nothing_is_stored(alice: User) -> None:
    stored = store(alice, image(1), b"not json", image(3, url="ftp://x"), *(image(n) for n in range(4, 30)), b"[]")

    assert refusal(alice, stored) == {"line.2": "invalid_json", "line.3.url": "invalid_url", "line.30": "invalid_json"}


def test_an_id_given_twice_is_found_across_chunks(alice: User) -> None:
    stored = store(alice, *(image(number) for number in range(25)), image(3))

    assert refusal(alice, stored) == {"line.26.id": "duplicate"}


def test_data_urls_do_not_belong_into_a_list(alice: User) -> None:
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

    assert refusal(alice, store(alice, image(1, url=pixel))) == {"line.1.url": "invalid_url"}


def test_another_owners_list_is_not_found(alice: User) -> None:
    stored = store(User.objects.create(username="bob"), image(1))

    assert refusal(alice, stored) == {"imagesFile": "unknown_file"}


def test_a_list_and_images_at_once_is_a_contradiction(alice: User) -> None:
    stored = store(alice, image(1))
    with pytest.raises(InvalidInput) as refused:
        build_photo_batch(alice.pk, {"shootId": "s", "imagesFile": stored.public_id, "images": [image(2)]})

    assert [problem.code for problem in refused.value.problems] == ["contradiction"]


def test_a_list_that_vanishes_fails_the_batch_with_a_reason(alice: User) -> None:
    stored = store(alice, image(1))
    batch = submit(alice, stored)
    stored.content.delete(save=False)

    load_all()

    batch.refresh_from_db()
    assert batch.status == "failed"
    assert "file" in batch.error


def test_a_vanished_list_lets_what_was_loaded_run_to_its_end(alice: User) -> None:
    stored = store(alice, *(image(number) for number in range(15)))
    batch = submit(alice, stored)
    loading.load_chunk()
    stored.content.delete(save=False)

    load_all()

    batch.refresh_from_db()
    assert (batch.status, batch.total) == ("running", 10)
    assert "file" in batch.error


def test_two_loaders_never_take_the_same_chunk(alice: User) -> None:
    batch = submit(alice, store(alice, *(image(number) for number in range(5))))
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM batches_batch WHERE id = %s FOR UPDATE", [batch.pk])
        assert loading.load_chunk() == 0
    finally:
        other.rollback()
        other.close()

    assert load_all() == [5]
    assert Item.objects.count() == 5


class FarStorage(Storage):
    """It has no paths, and hands out whole files."""

    files: ClassVar[dict[str, bytes]] = {}
    fetched: ClassVar[list[str]] = []
    gate = threading.Event()

    def _open(self, name: str, mode: str = "rb") -> ContentFile[bytes]:
        self.fetched.append(name)
        assert not connection.in_atomic_block, "a fetch holds up a transaction"
        assert self.gate.wait(10)
        if name not in self.files:
            raise FileNotFoundError(name)
        return ContentFile(self.files[name])

    def _save(self, name: str, content: Any) -> str:
        self.files[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.files

    def delete(self, name: str) -> None:
        self.files.pop(name, None)


@pytest.fixture
def far(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[FarStorage]:
    backend = {"BACKEND": f"{FarStorage.__module__}.FarStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    monkeypatch.setattr("batches.loading.copies", LocalCopies())
    FarStorage.files.clear()
    FarStorage.fetched.clear()
    FarStorage.gate.set()
    return FarStorage


def load_until_nothing_comes(batch: Batch) -> None:
    """As the dispatcher does: it asks again and again."""
    deadline = time.monotonic() + 10
    while not Batch.objects.filter(pk=batch.pk, loaded_at__isnull=False).exists():
        assert time.monotonic() < deadline
        loading.load_chunk()


def test_a_list_in_a_storage_far_away_is_fetched_once_for_all_its_chunks(
    alice: User, far: type[FarStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = submit(alice, store(alice, *(image(number) for number in range(45))))
    far.fetched.clear()  # it was read to its end when it was checked
    while not loading.load_chunk():
        pass
    anew = LocalCopies()
    monkeypatch.setattr("batches.loading.copies", anew)  # a new dispatcher goes on where that one stood

    load_until_nothing_comes(batch)

    assert len(far.fetched) == 2
    keys = list(batch.items.order_by("position").values_list("key", flat=True))
    assert keys == [f"image-{number}" for number in range(45)]
    assert not anew._copies  # the room is given back


def test_while_a_list_is_fetched_others_are_loaded(alice: User, far: type[FarStorage], settings: Any) -> None:
    slow = submit(alice, store(alice, image(1)))
    far.gate.clear()
    assert loading.load_chunk() == 0  # it is on its way
    page = Batch.objects.create(
        owner=alice, operation="rate_photos", channel="ai", status="cancelled", completed_at=slow.created_at,
        source_cursor={}, total=1,
    )  # fmt: skip

    loading.load_chunk()

    page.refresh_from_db()
    assert page.loaded_at is not None
    far.gate.set()
    load_until_nothing_comes(slow)
    assert slow.items.count() == 1


def test_a_list_that_vanishes_from_a_storage_far_away_fails_the_batch(alice: User, far: type[FarStorage]) -> None:
    stored = store(alice, image(1))
    batch = submit(alice, stored)
    stored.content.delete(save=False)

    load_until_nothing_comes(batch)

    batch.refresh_from_db()
    assert batch.status == "failed"


def test_an_upload_that_says_it_is_a_list_may_be_large(settings: Any) -> None:
    settings.MAX_FILE_BYTES = 10
    upload = check_lines("images.jsonl", ContentFile(b"x" * 100, name="images.jsonl"))

    assert isinstance(upload, Upload)
    assert upload.size == 100
