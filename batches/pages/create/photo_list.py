"""The photos of a form: uploaded ones, addresses of others, or a file that lists them; each with where it was said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from batches.files import files_of
from batches.operations.photos.photo_images import LONGEST_TEXT

MOST_UPLOADED = 100_000
SHOWN, MOST_SHOWN = 24, 480
LINE = "line:"
TOLD_APART = 200
"""Characters of an address: a data URL has millions."""
_FILE_ID = re.compile(r"file_[0-9a-f]{32}")
_PLACE = re.compile(r"images\.(\d+)(?:\.|\Z)")


@dataclass(frozen=True, slots=True)
class Photo:
    """One of them. ``file_id`` is empty of one that is known by its address; ``said``: where in the form; ``line``: of
    an address, which one, from 1."""

    name: str
    said: str
    file_id: str = ""
    url: str = ""
    line: int = 0

    @property
    def handle(self) -> str:
        """What :func:`without` takes it out by. An address comes along: another line may stand there meanwhile."""
        return self.file_id or f"{LINE}{self.line}:{self.url[:TOLD_APART]}"


@dataclass(slots=True)
class PhotoList:
    """All of them, in the order of the form. ``most``: so many are shown as pictures."""

    photos: list[Photo] = field(default_factory=list)
    most: int = SHOWN

    @classmethod
    def of(cls, owner_id: int, uploaded: str, urls: str, most: int = SHOWN) -> PhotoList:
        """``uploaded``: ids, ``urls``: addresses; one a line each."""
        ids = list(dict.fromkeys(_FILE_ID.findall(uploaded)[:MOST_UPLOADED]))
        names = dict(files_of(owner_id).filter(public_id__in=ids).values_list("public_id", "name"))
        found = [Photo(names.get(each, each), f"photo {names.get(each, each)}", file_id=each) for each in ids]
        for number, line in enumerate(urls.split("\n"), start=1):
            if line.strip():
                found.append(Photo(_name_in(line.strip()), f"line {number}", url=line.strip(), line=number))
        return cls(found, most)

    @property
    def shown(self) -> Sequence[Photo]:
        """The first, as pictures."""
        return self.photos[: self.most]

    @property
    def rest(self) -> int:
        """How many more there are."""
        return max(0, len(self.photos) - self.most)

    @property
    def next_most(self) -> int:
        """How many are shown when more are wanted; 0 where no more are."""
        return min(self.most * 4, MOST_SHOWN) if self.rest and self.most < MOST_SHOWN else 0

    @property
    def uploaded(self) -> int:
        """How many of them are here already."""
        return sum(1 for photo in self.photos if photo.file_id)

    def images(self) -> list[dict[str, Any]]:
        """As a body names them: each by its name, and of the same name with a number."""
        return [
            {"id": key, "filename": photo.name[:255], **_source(photo)}
            for key, photo in zip(_distinct(photo.name for photo in self.photos), self.photos, strict=True)
        ]

    def place(self, path: str) -> str | None:
        """Where in the form a problem lies; None where it is about no photo."""
        match = _PLACE.match(path)
        if match is None or int(match[1]) >= len(self.photos):
            return None
        return self.photos[int(match[1])].said


def shown_of(text: str) -> int:
    """How many are to be shown, as the form says it."""
    return min(max(int(text), SHOWN), MOST_SHOWN) if text.isascii() and text.isdigit() and len(text) < 6 else SHOWN


def without(handle: str, ids: list[str], urls: str) -> tuple[list[str], str]:
    """Ids and lines of addresses without the photo of this handle; all of them where there is none such."""
    if not handle.startswith(LINE):
        return [each for each in ids if each != handle], urls
    number, _, url = handle.removeprefix(LINE).partition(":")
    lines = urls.split("\n")
    place = int(number) - 1 if number.isascii() and number.isdigit() and len(number) < 8 else -1
    begins = [line.strip()[:TOLD_APART] for line in lines]
    if not 0 <= place < len(lines) or begins[place] != url:
        place = begins.index(url) if url in begins else -1
    return ids, "\n".join(line for each, line in enumerate(lines) if each != place)


def _source(photo: Photo) -> Mapping[str, str]:
    return {"fileId": photo.file_id} if photo.file_id else {"url": photo.url}


def _distinct(names: Iterable[str]) -> list[str]:
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    found = []
    for name in names:
        key = first = name[: LONGEST_TEXT - 10]
        while key in taken:
            numbers[first] = numbers.get(first, 1) + 1
            key = f"{first} ({numbers[first]})"
        taken.add(key)
        found.append(key)
    return found


def _name_in(url: str) -> str:
    """What a person would call it: the last part of its path."""
    if url[:5].lower() == "data:":
        return "pasted photo"
    try:
        parts = urlsplit(url[:4096])
        last = unquote(PurePosixPath(parts.path).name) or parts.netloc
    except ValueError:
        last = ""
    return "".join(character for character in last if character.isprintable()) or "photo"
