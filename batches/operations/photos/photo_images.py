"""The images of a photo batch as a client names them: by URL, as a data URL, or by the id of an uploaded file."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

from batches.files import IMAGE_TYPES, Upload, check_upload, store_uploads
from batches.models import StoredFile
from batches.operations.payload import Problems, document_problems, is_storable, text_fault, unknown_fields
from batches.options import NewItem
from batches.problems import InvalidInput

LONGEST_URL = 4_096
LONGEST_TEXT = 200
MOST_TAGS = 100
IMAGE_FIELDS = frozenset({"id", "url", "fileId", "filename", "tags", "metadata"})
_WEB_URL = re.compile(r"https?://[^\s/?#@\\\x00-\x20]+(?:[/?#][^\s\x00-\x20]*)?", re.IGNORECASE)
_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,", re.IGNORECASE)
_FILE_ID = re.compile(r"file_[0-9a-f]{32}")


class PhotoImages:
    """Reads the list in one pass; what needs the database or the storage comes after it, once for all."""

    def __init__(self, problems: Problems, *, path: str = "images") -> None:
        self._problems = problems
        self._path = path
        self._first_with: dict[str, int] = {}
        self._items: list[NewItem] = []
        self._documents: dict[int, dict[str, Any]] = {}
        self._uploads: dict[int, Upload] = {}
        self._file_ids: dict[int, str] = {}
        self.stored_files: list[str] = []

    def read(self, images: Iterable[Any]) -> None:
        """Note each image, or what is wrong with it."""
        self.read_numbered(enumerate(images))

    def read_numbered(self, images: Iterable[tuple[int, Any]]) -> None:
        """The same, each with the number by which problems name it."""
        for index, image in images:
            if self._problems.is_full:
                return
            if isinstance(image, dict):
                self._read_image(index, image)
            else:
                self._problem(index, "", "Must be an object.", "invalid_type")

    def _read_image(self, index: int, image: dict[str, Any]) -> None:
        if not image.keys() <= IMAGE_FIELDS:
            self._problems.extend(unknown_fields(image, IMAGE_FIELDS, f"{self._path}.{index}."))
        key = self._read_key(index, image.get("id"))
        filename = image.get("filename")
        if fault := text_fault(filename, maximum=255, required=False):
            self._problem(index, ".filename", *fault)
        document: dict[str, Any] = {"filename": filename or key}
        self._read_source(index, image, document)
        if (tags := image.get("tags")) is not None:
            self._read_tags(index, tags, document)
        if (metadata := image.get("metadata")) is not None:
            self._read_metadata(index, metadata, document)
        self._documents[index] = document
        self._items.append(NewItem(key, document))

    def _read_key(self, index: int, key: Any) -> str:
        if fault := text_fault(key, maximum=LONGEST_TEXT):
            self._problem(index, ".id", *fault)
            return ""
        first = self._first_with.setdefault(key, index)
        if first != index:
            self._problem(index, ".id", f"Is the id of {self._path}.{first} as well.", "duplicate")
        return str(key)

    def _read_source(self, index: int, image: dict[str, Any], document: dict[str, Any]) -> None:
        url, file_id = image.get("url"), image.get("fileId")
        if (url is None) == (file_id is None):
            self._problem(index, ".url", "Exactly one of url and fileId is required.", "required")
        elif file_id is not None:
            if isinstance(file_id, str) and _FILE_ID.fullmatch(file_id):
                self._file_ids[index] = document["fileId"] = file_id
            else:
                self._problem(index, ".fileId", "Must be the id of an uploaded file.", "unknown_file")
        elif not isinstance(url, str):
            self._problem(index, ".url", "Must be a string.", "invalid_type")
        elif url[:5].lower() == "data:":
            self._read_data_url(index, url, str(document["filename"]))
        elif len(url) > LONGEST_URL:
            self._problem(index, ".url", f"Must have at most {LONGEST_URL} characters.", "too_long")
        elif not _WEB_URL.fullmatch(url) or not is_storable(url):
            self._problem(index, ".url", "Must be an http or https URL without user name.", "invalid_url")
        else:
            document["url"] = url

    def _read_data_url(self, index: int, url: str, filename: str) -> None:
        header = _DATA_URL.match(url)
        if header is None:
            self._problem(index, ".url", "Must be a base64 data URL of an image.", "invalid_url")
            return
        try:
            content = base64.b64decode(url[header.end() :], validate=True)
            path = f"{self._path}.{index}.url"
            self._uploads[index] = check_upload(filename, header.group(1), content, path=path)
        except (binascii.Error, ValueError):
            self._problem(index, ".url", "Is not valid base64.", "invalid_url")
        except InvalidInput as refused:
            self._problems.extend(refused.problems)

    def _read_tags(self, index: int, tags: Any, document: dict[str, Any]) -> None:
        if not isinstance(tags, list) or len(tags) > MOST_TAGS:
            self._problem(index, ".tags", f"Must be a list of at most {MOST_TAGS} strings.", "invalid_type")
            return
        for place, tag in enumerate(tags):
            if fault := text_fault(tag, maximum=LONGEST_TEXT):
                self._problem(index, f".tags.{place}", *fault)
        document["tags"] = tags

    def _read_metadata(self, index: int, metadata: Any, document: dict[str, Any]) -> None:
        if not isinstance(metadata, dict):
            self._problem(index, ".metadata", "Must be an object.", "invalid_type")
            return
        self._problems.extend(document_problems(metadata, f"{self._path}.{index}.metadata"))
        document["metadata"] = metadata

    def _problem(self, index: int, field: str, message: str, code: str) -> None:
        self._problems.add(f"{self._path}.{index}{field}", message, code)

    def check_files(self, owner_id: int) -> None:
        """Every file named is an image of this owner; one query for all."""
        if not self._file_ids:
            return
        wanted = set(self._file_ids.values())
        stored = StoredFile.objects.filter(owner_id=owner_id, public_id__in=wanted)
        types = dict(stored.values_list("public_id", "media_type"))
        accepted = set(IMAGE_TYPES.values())
        for index, file_id in self._file_ids.items():
            self._documents[index]["mediaType"] = types.get(file_id)
            if file_id not in types:
                self._problem(index, ".fileId", "Must be the id of an uploaded file.", "unknown_file")
            elif types[file_id] not in accepted:
                self._problem(index, ".fileId", "The file is not a JPEG, PNG, WebP or GIF image.", "not_an_image")

    def refuse_data_urls(self) -> None:
        """Where images are read more than once: their bytes would be stored each time."""
        for index in self._uploads:
            self._problem(
                index, ".url", "Must not be a data URL here: upload the image and use its fileId.", "invalid_url"
            )

    def stored(self, owner_id: int) -> list[NewItem]:
        """The items, once everything was found good: data URLs become stored files, rows hold their ids."""
        files = store_uploads(owner_id, list(self._uploads.values()), for_batch=True) if self._uploads else []
        self.stored_files = [file.public_id for file in files]
        for index, file in zip(self._uploads, files, strict=True):
            self._documents[index].update(fileId=file.public_id, mediaType=file.media_type)
        return self._items
