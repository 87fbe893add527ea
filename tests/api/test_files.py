"""Uploads, and getting them back."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connections
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client

from batches.api.downloads import PIECE_BYTES, Pieces
from batches.files import (
    FileMissing,
    Upload,
    file_content,
    open_file,
    read_file,
    store_file,
    store_uploads,
    stored_path,
)
from batches.local_copies import LocalCopies, local_path
from batches.models import ApiKey, AuditEntry, Batch, StoredFile
from batches.result_files import store_result
from tests.api.conftest import Submit, jpeg, problems_of


def upload(client: Client, *files: SimpleUploadedFile) -> Any:
    return client.post("/api/files", {"file": list(files)})


def photo(name: str = "a.jpg", media_type: str = "image/jpeg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, jpeg(), media_type)


def test_one_file(client: Client, alice: User) -> None:
    response = upload(client, photo("a.jpg", "text/plain"))
    assert response.status_code == 201
    stored = StoredFile.objects.get()
    assert response.json() == {
        "success": True,
        "fileId": stored.public_id,
        "name": "a.jpg",
        "mediaType": "image/jpeg",
        "size": len(jpeg()),
        "url": f"/api/files/{stored.public_id}",
    }
    assert read_file(alice.pk, stored.public_id) == (jpeg(), "image/jpeg")


def test_many_files(client: Client) -> None:
    response = upload(client, photo("a.jpg"), SimpleUploadedFile("b.txt", b"hello", "text/plain"))
    assert [file["mediaType"] for file in response.json()["files"]] == ["image/jpeg", "text/plain"]
    assert StoredFile.objects.count() == 2


def test_it_comes_back_as_a_download(client: Client) -> None:
    file_id = upload(client, SimpleUploadedFile("pagé.html", b"<script>", "text/html")).json()["fileId"]
    response = client.get(f"/api/files/{file_id}")
    assert response.getvalue() == b"<script>"
    assert response["Content-Length"] == "8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"].startswith("attachment; filename*=utf-8''pag")
    assert "sandbox" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (SimpleUploadedFile("a.jpg", b"not an image", "image/jpeg"), "not_an_image"),
        (SimpleUploadedFile("a.txt", b"", "text/plain"), "empty"),
        (SimpleUploadedFile("a.txt", b"x" * 2000, "text/plain"), "too_large"),
    ],
)
def test_all_are_stored_or_none(client: Client, settings: Any, file: SimpleUploadedFile, code: str) -> None:
    settings.MAX_FILE_BYTES = 1000
    assert problems_of(upload(client, photo(), file)) == {"file.1": code}
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("field", ["other", ""])
def test_a_form_without_a_file(client: Client, field: str) -> None:
    response = client.post("/api/files", {field: photo()} if field else {})
    assert problems_of(response) == {"file": "required"}


def test_a_form_that_is_broken(client: Client) -> None:
    response = client.post("/api/files", b"nonsense", content_type="multipart/form-data")
    assert response.status_code == 400
    assert client.post("/api/files", {}, content_type="application/json").status_code == 415


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../etc/passwd", "passwd"), ("a\\b\\c.txt", "c.txt"), ("a\x00b\n.txt", "ab.txt"), ("", "file")],
)
def test_names_are_only_names(alice: User, name: str, kept: str) -> None:
    assert store_file(alice.pk, name, "text/plain", b"x").name == kept


@pytest.mark.parametrize("media_type", ["", "nonsense", "a/b/c", "text/<script>", "x" * 200 + "/y"])
def test_a_media_type_that_is_none(alice: User, media_type: str) -> None:
    assert store_file(alice.pk, "a", media_type, b"x").media_type == "application/octet-stream"


def test_a_django_file_is_stored(alice: User, media: Path) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain; charset=utf-8", ContentFile(b"hello"))
    assert (stored.media_type, stored.size) == ("text/plain", 5)
    assert file_content(alice.pk, stored.public_id) == b"hello"
    assert [path.read_bytes() for path in media.rglob("file_*")] == [b"hello"]


def test_files_that_are_missing(alice: User, bob: User) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    for missing in (lambda: read_file(bob.pk, stored.public_id), lambda: file_content(alice.pk, "file_0")):
        with pytest.raises(FileMissing):
            missing()


@pytest.mark.django_db(transaction=True)
def test_no_bytes_are_left_when_the_rows_cannot_be_stored(media: Path) -> None:
    with pytest.raises(IntegrityError):
        store_uploads(10**9, [Upload("a", "text/plain", b"x")])
    assert not list(media.rglob("file_*"))


# --- Tables may be large


@pytest.mark.parametrize(
    ("name", "declared", "stored"),
    [
        ("a.csv", "application/vnd.ms-excel", "text/csv"),
        ("a.TSV", "text/plain", "text/tab-separated-values"),
        ("a.json", "", "application/json"),
        ("a.ndjson", "", "application/jsonl"),
        ("noname", "application/x-ndjson", "application/jsonl"),
        ("noname", "text/csv; charset=latin-1", "text/csv"),
        ("a.xlsx", "", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_a_table_has_a_limit_of_its_own(client: Client, settings: Any, name: str, declared: str, stored: str) -> None:
    settings.MAX_FILE_BYTES = 10
    response = upload(client, SimpleUploadedFile(name, b"x" * 100, declared))
    assert response.status_code == 201
    assert response.json()["mediaType"] == stored
    settings.MAX_UPLOAD_BYTES = 1000
    refused = upload(client, SimpleUploadedFile(name, b"x" * 1001, declared))
    assert refused.status_code in {400, 413}


# --- Downloads come piece by piece


async def pieces_of(path: str, secret: str) -> list[bytes]:
    response = await AsyncClient().get(path, headers={"Authorization": f"Bearer {secret}"})
    assert response.status_code == 200
    assert isinstance(response, StreamingHttpResponse)
    assert response.is_async
    pieces = [piece async for piece in response]
    await sync_to_async(connections.close_all)()  # of the thread that ran the view
    return pieces


@pytest.mark.django_db(transaction=True)
def test_the_server_sends_a_large_file_in_pieces(alice: User) -> None:
    content = bytes(range(256)) * 4_000
    stored = store_uploads(alice.pk, [Upload("a.bin", "application/octet-stream", content)])[0]
    _, secret = ApiKey.issue(owner_id=alice.pk, name="test")
    pieces = asyncio.run(pieces_of(f"/api/files/{stored.public_id}", secret))
    assert b"".join(pieces) == content
    assert {len(piece) for piece in pieces[:-1]} == {PIECE_BYTES}


def test_a_file_is_closed_when_its_download_is_given_up(alice: User) -> None:
    stored = store_uploads(alice.pk, [Upload("a.bin", "text/plain", b"x" * 3 * PIECE_BYTES)])[0]
    file = open_file(alice.pk, stored.public_id)

    async def give_up() -> None:
        async with contextlib.aclosing(Pieces(file).__aiter__()) as pieces:
            async for _ in pieces:
                break

    asyncio.run(give_up())
    assert file.closed


def test_bytes_that_are_gone_are_not_found(client: Client, alice: User, media: Path) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    (media / str(alice.pk) / stored.public_id).unlink()
    assert client.get(f"/api/files/{stored.public_id}").status_code == 404


# --- Lists and deletion


def test_a_list_of_uploads_and_results(client: Client, alice: User, bob: User, submit: Submit) -> None:
    batch = submit()
    store_file(alice.pk, "a.txt", "text/plain", b"hello")
    store_uploads(alice.pk, [Upload("rows", "text/plain", b"x")], for_batch=True)
    store_result(batch, "report.csv", "text/csv", ContentFile(b"a"))
    store_file(bob.pk, "his.txt", "text/plain", b"hello")
    body = client.get("/api/files?limit=10").json()
    assert [file["name"] for file in body["files"]] == ["report.csv", "a.txt"]
    assert (body["count"], body["limit"], body["offset"]) == (2, 10, 0)


def test_a_deleted_file_is_gone(client: Client, alice: User, media: Path) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    assert client.delete(f"/api/files/{stored.public_id}").json() == {"success": True, "message": "File deleted"}
    assert not list(media.rglob("file_*"))
    assert client.delete(f"/api/files/{stored.public_id}").status_code == 404
    [entry] = AuditEntry.objects.filter(action="delete_file")
    assert (entry.owner_id, entry.actor_id, entry.details) == (alice.pk, alice.pk, {"file": stored.public_id})


def test_what_a_batch_needs_is_not_deleted(client: Client, alice: User, submit: Submit) -> None:
    batch = submit()
    source = store_file(alice.pk, "a.jsonl", "application/jsonl", b"{}")
    Batch.objects.filter(pk=batch.pk).update(source=source)
    assert client.delete(f"/api/files/{source.public_id}").status_code == 409
    [rows] = store_uploads(alice.pk, [Upload("rows", "text/plain", b"x")], for_batch=True)
    assert client.delete(f"/api/files/{rows.public_id}").status_code == 404
    assert StoredFile.objects.count() == 2


def test_files_of_others_are_neither_shown_nor_deleted(bobs_client: Client, alice: User) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    assert bobs_client.get(f"/api/files/{stored.public_id}").status_code == 404
    assert bobs_client.delete(f"/api/files/{stored.public_id}").status_code == 404
    assert bobs_client.get("/api/files").json()["files"] == []


# --- Any of Django's storages


def test_a_storage_that_is_no_folder(client: Client, alice: User, settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    file_id = upload(client, SimpleUploadedFile("a.txt", b"hello", "text/plain")).json()["fileId"]
    assert client.get(f"/api/files/{file_id}").getvalue() == b"hello"
    with local_path(alice.pk, file_id) as path:
        assert path.read_bytes() == b"hello"
    nearby = LocalCopies(most=1)
    with nearby.open(alice.pk, file_id) as first:
        default_storage.delete(stored_path(alice.pk, file_id))
        with nearby.open(alice.pk, file_id) as again:  # fetched once
            assert again.read() == b"hello"
        other = store_file(alice.pk, "b.txt", "text/plain", b"other").public_id
        with nearby.open(alice.pk, other) as second:
            assert second.read() == b"other"
        assert first.read() == b"hello"  # forgotten, and still good for who has it
    with pytest.raises(FileMissing):
        nearby.open(alice.pk, file_id)
    with pytest.raises(FileMissing), local_path(alice.pk, file_id):
        pass
    assert client.get(f"/api/files/{file_id}").status_code == 404
