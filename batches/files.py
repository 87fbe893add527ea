"""Bytes that users gave us: kept in Django's file storage, owned by who sent them, never in rows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q, QuerySet
from PIL import Image

from batches.models import AuditEntry, Batch, StoredFile
from batches.problems import Conflict, InvalidInput, Problem

IMAGE_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
"""The kinds of image that vision models take, by Pillow's name."""

LINES_TYPE = "application/jsonl"
LINES_TYPES = frozenset({LINES_TYPE, "application/x-ndjson", "application/x-jsonlines", "application/ndjson"})
TABLE_TYPES = {
    ".jsonl": LINES_TYPE,
    ".ndjson": LINES_TYPE,
    ".json": "application/json",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Media types of tables, by the endings of their names."""
UNKNOWN_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}/[a-z0-9][a-z0-9.+-]{0,57}")


_memory: ContextVar[dict[str, bytes] | None] = ContextVar("files_in_memory", default=None)


class FileMissing(LookupError):
    """This owner has no such file."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A checked file that is not stored yet. ``media_type`` of an image is what its bytes say."""

    name: str
    media_type: str
    content: bytes | File[bytes]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else int(self.content.size)


def image_type(content: bytes) -> str | None:
    """The media type of an image, read from its header; None where Pillow cannot read one."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(IMAGE_TYPES)) as image:
            return IMAGE_TYPES[image.format or ""]
    except Exception:  # a broken header breaks Pillow in many ways, none of which is ours
        return None


def check_upload(name: str, media_type: str, content: bytes, *, path: str = "file") -> Upload:
    """What will be stored, or :class:`InvalidInput`: empty, over the limit, or an image in name only."""
    if not content:
        raise InvalidInput([Problem(path, "The file is empty.", "empty")])
    if len(content) > settings.MAX_FILE_BYTES:
        raise InvalidInput([Problem(path, f"The file has more than {settings.MAX_FILE_BYTES} bytes.", "too_large")])
    actual = image_type(content)
    declared = media_type.partition(";")[0].strip().lower()
    if actual is None and declared.startswith("image/"):
        raise InvalidInput([Problem(path, "The file is not a JPEG, PNG, WebP or GIF image.", "not_an_image")])
    if actual is None and not _MEDIA_TYPE.fullmatch(declared):
        declared = UNKNOWN_TYPE
    return Upload(_clean_name(name), actual or declared, content)


def table_type(name: str, media_type: str) -> str | None:
    """The media type of a file that says it is a table: JSON lines, JSON, CSV or XLSX. None for any other.

    Such files may be large, and are stored as they stream in.
    """
    declared = media_type.partition(";")[0].strip().lower()
    if declared in LINES_TYPES:
        return LINES_TYPE
    return TABLE_TYPES.get(PurePosixPath(name.lower()).suffix) or (
        declared if declared in TABLE_TYPES.values() else None
    )


def is_list_of_items(name: str, media_type: str) -> bool:
    """Whether a file says it is JSON lines, from which a batch takes its items."""
    return table_type(name, media_type) == LINES_TYPE


def check_lines(name: str, content: File[bytes], *, path: str = "file") -> Upload:
    """A file of JSON lines that will be stored."""
    return check_table(name, LINES_TYPE, content, path=path)


def check_table(name: str, media_type: str, content: File[bytes], *, path: str = "file") -> Upload:
    """A table that will be stored; its rows are checked when a batch is made of it."""
    if not content.size:
        raise InvalidInput([Problem(path, "The file is empty.", "empty")])
    if content.size > settings.MAX_UPLOAD_BYTES:
        raise InvalidInput([Problem(path, f"The file has more than {settings.MAX_UPLOAD_BYTES} bytes.", "too_large")])
    return Upload(_clean_name(name), media_type, content)


def _clean_name(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable())[:255] or "file"


def store_file(owner_id: int, name: str, media_type: str, content: bytes | File[bytes]) -> StoredFile:
    """Check and store one file. Raises :class:`InvalidInput`, and then nothing is stored."""
    # One byte past the limit is enough to be refused.
    read = content if isinstance(content, bytes) else content.read(settings.MAX_FILE_BYTES + 1)
    return store_uploads(owner_id, [check_upload(name, media_type, read)])[0]


def store_uploads(owner_id: int, uploads: Sequence[Upload], *, for_batch: bool = False) -> list[StoredFile]:
    """Store checked files, their rows by one INSERT; all of them or none. Call it outside of a transaction.

    ``for_batch``: they are part of one batch that is about to be submitted, and go with it. Every file begins as one
    whose batch has not come, with its row before its bytes: whatever a process that is killed here leaves behind has a
    row, and is swept (:func:`batches.retention.sweep_orphaned_files`).
    """
    rows = [
        StoredFile(owner_id=owner_id, name=upload.name, media_type=upload.media_type, size=upload.size, for_batch=True)
        for upload in uploads
    ]
    if (memory := _memory.get()) is not None:
        contents = (upload.content for upload in uploads)
        read = (content if isinstance(content, bytes) else content.read() for content in contents)
        memory.update(zip((row.public_id for row in rows), read, strict=True))
        return rows
    for row in rows:
        row.content.name = stored_path(owner_id, row.public_id)
    StoredFile.objects.bulk_create(rows)
    try:
        for row, upload in zip(rows, uploads, strict=True):
            content = ContentFile(upload.content) if isinstance(upload.content, bytes) else upload.content
            default_storage.save(row.content.name, content)
        if not for_batch:
            StoredFile.objects.filter(pk__in=[row.pk for row in rows]).update(for_batch=False)
            for row in rows:
                row.for_batch = False
    except BaseException:
        discard_files(owner_id, [row.public_id for row in rows])
        raise
    return rows


@contextmanager
def kept_in_memory() -> Iterator[None]:
    """What is stored inside is kept in memory, for whoever reads it inside as well, and gone after it."""
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def keep_with_batch(batch: Batch, public_ids: Sequence[str]) -> None:
    """These files belong to the batch from now on; inside the transaction that stores it."""
    if public_ids:
        StoredFile.objects.filter(owner_id=batch.owner_id, public_id__in=public_ids).update(batch=batch)


def discard_files(owner_id: int, public_ids: Sequence[str]) -> None:
    """Remove files that were stored for a batch which was not submitted: the bytes, then the rows that name them."""
    for public_id in public_ids:
        default_storage.delete(stored_path(owner_id, public_id))
    StoredFile.objects.filter(owner_id=owner_id, public_id__in=public_ids).delete()


def stored_path(owner_id: int, public_id: str) -> str:
    """Where a file lies in the storage."""
    return f"{owner_id}/{public_id}"


def file_content(owner_id: int, public_id: str) -> bytes:
    """A file's bytes without a query: workers hold no database connection while they call.

    The id must be one that a submission checked. Raises :class:`FileMissing`.
    """
    if (memory := _memory.get()) is not None and public_id in memory:
        return memory[public_id]
    try:
        with default_storage.open(stored_path(owner_id, public_id)) as stored:
            content: bytes = stored.read()
            return content
    except FileNotFoundError:
        raise FileMissing(public_id) from None


def open_file(owner_id: int, public_id: str) -> File[bytes]:
    """A file to be read piece by piece; the caller closes it. Without a query, as :func:`file_content`.

    Raises :class:`FileMissing`.
    """
    try:
        return default_storage.open(stored_path(owner_id, public_id))
    except FileNotFoundError:
        raise FileMissing(public_id) from None


def find_file(owner_id: int, public_id: str) -> StoredFile:
    """The row of an owner's file. Raises :class:`FileMissing`."""
    stored = StoredFile.objects.filter(owner_id=owner_id, public_id=public_id).first()
    if stored is None:
        raise FileMissing(public_id)
    return stored


def files_of(owner_id: int) -> QuerySet[StoredFile]:
    """What the owner uploaded, and what their batches made for them; not what batches keep for themselves."""
    return StoredFile.objects.filter(Q(for_batch=False) | Q(is_result=True), owner_id=owner_id)


def delete_file(owner_id: int, public_id: str, *, actor_id: int | None) -> None:
    """Forget an upload or a result. Raises :class:`FileMissing`, or :class:`Conflict` while a batch is made of it.

    The bytes go inside the transaction, before the row does: killed in between, it is deleted by asking again, and no
    bytes are left that nobody knows of. Meanwhile the row's lock keeps new batches from beginning with it.
    """
    with transaction.atomic():
        stored = files_of(owner_id).select_for_update(of=("self",)).filter(public_id=public_id).first()
        if stored is None:
            raise FileMissing(public_id)
        if Batch.objects.filter(source=stored).exists():
            raise Conflict("A batch is made of this file: it can be deleted when the batch is.")
        default_storage.delete(stored_path(owner_id, public_id))
        stored.delete()
        AuditEntry.objects.create(
            action="delete_file", owner_id=owner_id, actor_id=actor_id, details={"file": public_id}
        )


def read_file(owner_id: int, public_id: str) -> tuple[bytes, str]:
    """Bytes and media type of an owner's file. Raises :class:`FileMissing`."""
    return file_content(owner_id, public_id), find_file(owner_id, public_id).media_type
