"""The photos of a folder, stored as files of their owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.management.base import CommandError

from batches.commandline.screen import printable
from batches.files import check_lines, is_list_of_items, store_file, store_uploads
from batches.models import StoredFile
from batches.operations.photos.photo_images import LONGEST_TEXT
from batches.problems import InvalidInput

ANY_IMAGE = "image/*"
"""As what every file is offered: the store looks into the bytes and refuses what is none."""


@dataclass(slots=True)
class StoredPhotos:
    """What was stored, by the name in the folder, and what was passed over and why."""

    photos: dict[str, StoredFile] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def store(self, owner_id: int, folder: Path, path: Path) -> None:
        """Store one file if it is an image."""
        name = printable(path.relative_to(folder).as_posix())
        try:
            self.photos[name] = store_file(owner_id, name, ANY_IMAGE, path.read_bytes())
        except InvalidInput as refused:
            self.skipped[name] = refused.problems[0].message
        except OSError as error:
            self.skipped[name] = error.strerror or type(error).__name__

    def payload(self) -> dict[str, Any]:
        """As the payload of a photo batch names them."""
        return {
            "images": [
                {"id": image_id(position, name), "filename": name[-255:], "fileId": stored.public_id}
                for position, (name, stored) in enumerate(self.photos.items())
            ]
        }

    def discard(self) -> None:
        """Remove what was stored: nothing was submitted."""
        for stored in self.photos.values():
            stored.content.delete(save=False)
            stored.delete()


@dataclass(slots=True)
class StoredList:
    """A stored file of JSON lines that lists images."""

    file: StoredFile

    @classmethod
    def of(cls, owner_id: int, path: Path) -> StoredList:
        """Store the file as it is read. Raises ``CommandError`` for what is no list of images."""
        if not is_list_of_items(path.name, ""):
            raise CommandError(f"{path} is neither a folder nor a .jsonl file.")
        try:
            with path.open("rb") as content:
                upload = check_lines(path.name, File(content, name=path.name))
                return cls(store_uploads(owner_id, [upload])[0])
        except InvalidInput as refused:
            raise CommandError(refused.problems[0].message) from refused
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error

    def payload(self) -> dict[str, Any]:
        """As the payload of a photo batch names it."""
        return {"imagesFile": self.file.public_id}

    def discard(self) -> None:
        """Remove what was stored: nothing was submitted."""
        self.file.content.delete(save=False)
        self.file.delete()


Stored = StoredPhotos | StoredList


def image_id(position: int, name: str) -> str:
    """The file's name, unless it is too long for an id."""
    return name if len(name) <= LONGEST_TEXT else f"{position}:{name[-150:]}"


def find_files(folder: Path, *, recursive: bool) -> list[Path]:
    """The folder's files by name, hidden ones left out."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder.")
    found = folder.rglob("*") if recursive else folder.glob("*")
    files = [path for path in found if path.is_file() and not _is_hidden(path.relative_to(folder))]
    largest = int(settings.BATCH_MAX_INLINE_ITEMS)
    if len(files) > largest:
        raise CommandError(f"{folder} holds {len(files)} files; one batch takes at most {largest}.")
    return sorted(files)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
