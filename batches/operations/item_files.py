"""Files that an item makes: texts, images and their thumbnails, kept as results of its batch."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile

from batches.extraction.readers import readers
from batches.extraction.thumbnails import MEDIA_TYPE
from batches.models import Batch
from batches.operations.checkpoints import give_back_connection
from batches.result_files import store_result

PATIENCE_SECONDS = 10.0
"""So long a call waits for a free reader."""


def keep_file(item_id: int, name: str, media_type: str, content: bytes) -> dict[str, Any]:
    """Keep a file of the item as a result of its batch; the same name again replaces it. Returns it for the result."""
    try:
        batch = Batch.objects.get(items__id=item_id)
        stored = store_result(batch, name, media_type, ContentFile(content, name=name))
    finally:
        give_back_connection()
    return {"fileId": stored.public_id, "name": stored.name, "mediaType": media_type, "size": len(content)}


def keep_thumbnail(item_id: int, name: str, image: bytes) -> dict[str, Any]:
    """A small copy of an image beside it. Raises what :class:`batches.extraction.readers.Readers` raises."""
    small = readers().thumbnail(image, patience_seconds=PATIENCE_SECONDS)
    return keep_file(item_id, f"{name}-thumbnail.webp", MEDIA_TYPE, small)
