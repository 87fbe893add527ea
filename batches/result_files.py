"""Files that a batch makes for its owner: exports, reports. They go with their batch."""

from __future__ import annotations

from django.core.files.base import File
from django.db import transaction
from django.db.models import QuerySet

from batches.files import FileMissing, Upload, discard_files, store_uploads
from batches.models import Batch, StoredFile


def store_result(batch: Batch, name: str, media_type: str, content: File[bytes]) -> StoredFile:
    """Keep a file as a result of the batch, in place of an earlier one of the same name; outside of a transaction.

    ``content`` is read in chunks: write large ones to a temporary file first. ``GET /api/files/{id}`` hands it out.

    It begins as a file whose batch has not come, with its row before its bytes, and the earlier one ends as such: what
    a process that is killed anywhere here leaves behind has a row, and is swept
    (:func:`batches.retention.sweep_orphaned_files`). A row that is a result has its bytes.
    """
    content.seek(0)
    (stored,) = store_uploads(batch.owner_id, [Upload(name[:255], media_type, content)], for_batch=True)
    replaced = _put_in_place(batch, stored)
    discard_files(batch.owner_id, replaced)
    return stored


@transaction.atomic
def _put_in_place(batch: Batch, stored: StoredFile) -> list[str]:
    """Make it the result of its name; returns those that were it, which belong to no batch from now on."""
    Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)  # one after the other, should there be two
    earlier = result_files(batch).filter(name=stored.name)
    replaced = list(earlier.values_list("public_id", flat=True))
    earlier.update(batch=None, is_result=False)
    if not StoredFile.objects.filter(pk=stored.pk).update(batch=batch, is_result=True):
        raise FileMissing(stored.public_id)  # it was written for so long that it was swept
    stored.batch, stored.is_result = batch, True
    return replaced


def result_files(batch: Batch) -> QuerySet[StoredFile]:
    """What the batch made, oldest first."""
    return StoredFile.objects.filter(batch=batch, is_result=True).order_by("id")
