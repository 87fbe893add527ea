"""Files that were uploaded or made here: on disk, so many at most, gone with the process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryDirectory

MOST_BYTES = 4 * 1024**3
MOST_FILES = 4_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file, as its owner knows it."""

    id: str
    alias: str
    name: str
    purpose: str
    path: Path
    size: int
    created: float


class Files:
    """All files of all providers; of too many the oldest go."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._kept: dict[str, StoredFile] = {}
        self._bytes = 0

    def place(self) -> Path:
        """Where a new file may be written."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="batchsite-sandbox-")
        return Path(self._folder.name) / secrets.token_hex(12)

    def keep(self, path: Path, *, file_id: str, alias: str, name: str, purpose: str) -> StoredFile:
        """Remember what was written there."""
        stored = StoredFile(file_id, alias, name, purpose, path, path.stat().st_size, time.time())
        self._kept[file_id] = stored
        self._bytes += stored.size
        while len(self._kept) > MOST_FILES or (self._bytes > MOST_BYTES and len(self._kept) > 1):
            self.forget(next(iter(self._kept)))
        return stored

    def get(self, file_id: str, alias: str) -> StoredFile | None:
        """The file of that id, if it is this account's."""
        stored = self._kept.get(file_id)
        return stored if stored is not None and stored.alias == alias else None

    def of(self, alias: str) -> Iterator[StoredFile]:
        """The account's files, the newest first."""
        return (stored for stored in reversed(list(self._kept.values())) if stored.alias == alias)

    def clear(self) -> None:
        """Delete all of them, and what was never given a name."""
        self._kept.clear()
        self._bytes = 0
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def forget(self, file_id: str) -> None:
        """Delete it."""
        stored = self._kept.pop(file_id)
        self._bytes -= stored.size
        stored.path.unlink(missing_ok=True)


class NoForm(ValueError):
    """What was sent is no form with a file in it."""


def read_form(path: Path, content_type: str, target: Path) -> tuple[str, dict[str, str]]:
    """Take a form apart: its file is written to ``target``; returns the file's name and the other fields."""
    boundary = content_type.partition("boundary=")[2].partition(";")[0].strip().strip('"')
    if not content_type.lower().startswith("multipart/form-data") or not boundary or not path.stat().st_size:
        raise NoForm
    name: str | None = None
    fields: dict[str, str] = {}
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as form:
        for head, start, end in _parts(form, b"--" + boundary.encode("latin-1")):
            field = head.partition('name="')[2].partition('"')[0]
            if field == "file":
                name = head.partition('filename="')[2].partition('"')[0]
                with target.open("wb") as copy:
                    for at in range(start, end, 1024 * 1024):
                        copy.write(form[at : min(end, at + 1024 * 1024)])
            else:
                fields[field] = form[start : min(end, start + 10_000)].decode("utf-8", "replace")
    if name is None:
        raise NoForm
    return name, fields


def _parts(form: mmap, delimiter: bytes) -> Iterator[tuple[str, int, int]]:
    """Each part's head, and where its content starts and ends."""
    at = form.find(delimiter)
    while at >= 0:
        start = at + len(delimiter)
        body = form.find(b"\r\n\r\n", start)
        following = form.find(b"\r\n" + delimiter, start)
        if following < 0 or not start <= body <= following:
            return
        yield form[start:body].decode("utf-8", "replace"), body + 4, following
        at = following + 2
