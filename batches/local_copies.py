"""Stored files as local ones: where the storage is a folder they are; elsewhere they are fetched once per process."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.files.storage import default_storage

from batches.files import FileMissing, stored_path

MOST_COPIES = 4
"""Kept per process, the least used ones are forgotten first."""


@contextmanager
def local_path(owner_id: int, public_id: str) -> Iterator[Path]:
    """A path for as long as the block runs. Raises :class:`FileMissing`."""
    if (path := _path_in_folder(owner_id, public_id)) is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="batchsite-") as copy:
        _fetch(owner_id, public_id, copy)
        copy.flush()
        yield Path(copy.name)


class LocalCopies:
    """The copies of one process: many items read their stretch of one file, and a storage far away has no stretches."""

    def __init__(self, most: int = MOST_COPIES) -> None:
        self._most = most
        self._copies: OrderedDict[tuple[int, str], IO[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._fetching: dict[tuple[int, str], threading.Lock] = {}
        self._coming: dict[tuple[int, str], Future[None]] = {}

    def is_near(self, owner_id: int, public_id: str) -> bool:
        """Whether :meth:`open` has nothing to fetch; otherwise a thread begins to fetch it, for who asks again later.

        Raises what that fetch raised, :class:`FileMissing` for one, and fetches anew when it is asked once more.
        """
        if _storage_is_folder():
            return True
        name = (owner_id, public_id)
        with self._lock:
            coming = self._coming.pop(name, None)
            if coming is None and name in self._copies:
                return True
            if coming is None or not coming.done():
                self._coming[name] = coming or self._begin(name)
                return False
        coming.result()
        return True

    def _begin(self, name: tuple[int, str]) -> Future[None]:
        coming: Future[None] = Future()

        def fetch() -> None:
            try:
                self.open(*name).close()
            except BaseException as error:
                coming.set_exception(error)
            else:
                coming.set_result(None)

        threading.Thread(target=fetch, name="fetch", daemon=True).start()
        return coming

    def forget(self, owner_id: int, public_id: str) -> None:
        """Give the room of a copy back that nobody will ask for again; who has it open may read on."""
        with self._lock:
            copy = self._copies.pop((owner_id, public_id), None)
            self._fetching.pop((owner_id, public_id), None)
        if copy is not None:
            copy.close()

    def open(self, owner_id: int, public_id: str) -> IO[bytes]:
        """The file, open for reading and seeking; the caller closes it. Raises :class:`FileMissing`."""
        path = _path_in_folder(owner_id, public_id)
        if path is not None:
            return path.open("rb")
        name = (owner_id, public_id)
        with self._lock:
            fetching = self._fetching.setdefault(name, threading.Lock())
        with fetching:
            copy = self._kept(name)
            if copy is None:
                copy = self._keep(name)
        # Opened anew, so that each caller has a position of its own, and keeps its file should the copy be forgotten.
        return Path(copy.name).open("rb")

    def _kept(self, name: tuple[int, str]) -> IO[bytes] | None:
        with self._lock:
            copy = self._copies.get(name)
            if copy is not None:
                self._copies.move_to_end(name)
            return copy

    def _keep(self, name: tuple[int, str]) -> IO[bytes]:
        copy = tempfile.NamedTemporaryFile(prefix="batchsite-")  # noqa: SIM115 - kept until it is forgotten
        try:
            _fetch(*name, copy)
            copy.flush()
        except BaseException:
            copy.close()
            raise
        with self._lock:
            self._copies[name] = copy
            while len(self._copies) > self._most:
                forgotten, oldest = self._copies.popitem(last=False)
                self._fetching.pop(forgotten, None)
                oldest.close()
        return copy


copies = LocalCopies()


def _storage_is_folder() -> bool:
    try:
        default_storage.path("file")
    except NotImplementedError:
        return False
    return True


def _path_in_folder(owner_id: int, public_id: str) -> Path | None:
    try:
        path = Path(default_storage.path(stored_path(owner_id, public_id)))
    except NotImplementedError:
        return None
    return path if path.is_file() else None


def _fetch(owner_id: int, public_id: str, copy: IO[bytes]) -> None:
    try:
        with default_storage.open(stored_path(owner_id, public_id)) as stored:
            shutil.copyfileobj(stored, copy, 1024 * 1024)
    except FileNotFoundError:
        raise FileMissing(public_id) from None
