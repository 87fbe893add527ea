"""Uploads, and getting them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.test import Client

from batches.files import FileMissing, Upload, file_content, read_file, store_file, store_uploads
from batches.models import StoredFile
from tests.api.conftest import jpeg, problems_of


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
    assert response.content == b"<script>"
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
