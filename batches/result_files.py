"""Files that a batch makes for its owner: exports, reports. They go with their batch."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet

from batches.files import stored_path
from batches.models import Batch, StoredFile


def store_result(batch: Batch, name: str, media_type: str, content: File[bytes]) -> StoredFile:
    """Keep a file as a result of the batch, in place of an earlier one of the same name.

    ``content`` is read in chunks: write large ones to a temporary file first. The bytes are stored before the row, so a
    row never names a file that is not there; ``GET /api/files/{id}`` hands it out.
    """
    content.seek(0)
    stored = StoredFile(
        owner_id=batch.owner_id,
        name=name[:255],
        media_type=media_type,
        size=content.size,
        for_batch=True,
        batch=batch,
        is_result=True,
    )
    stored.content.save(name, content, save=False)
    with transaction.atomic():
        Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)  # one after the other, should there be two
        earlier = result_files(batch).filter(name=stored.name)
        paths = [stored_path(one.owner_id, one.public_id) for one in earlier]
        earlier.delete()
        stored.save(force_insert=True)
        transaction.on_commit(lambda: _delete(paths))
    return stored


def _delete(paths: Sequence[str]) -> None:
    for path in paths:
        default_storage.delete(path)


def result_files(batch: Batch) -> QuerySet[StoredFile]:
    """What the batch made, oldest first."""
    return StoredFile.objects.filter(batch=batch, is_result=True).order_by("id")
