"""The two sample batches as a client would send them."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

from batches.files import FileMissing, file_content, store_file
from batches.models import StoredFile
from batches.samples.photos import MEDIA_TYPE, SamplePhoto, sample_photos
from batches.states import Priority

PHOTOS_AT_ONCE = 3
"""Few at once, so that both bars can be seen to move; a real batch is rated all at once."""

NAMES = ("Ada", "Ben", "Chloe", "Dmitri", "Elif", "Femi", "Grace", "Hiro", "Ines", "Jonas")
RECIPIENTS = 20
FICTIONAL_NUMBER = "+1202555{:04}"
"""555-0100 to 555-0199 are reserved for fiction: nobody has them."""


def photo_payload(owner_id: int, count: int) -> dict[str, Any]:
    """``count`` photos out of the rendered ones, over again when there are fewer."""
    stored = [_stored(owner_id, photo) for photo in islice(sample_photos(), count)]
    images = [
        {"id": f"{position:05}-{file.name}", "filename": file.name, "fileId": file.public_id}
        for position, file in enumerate(islice(cycle(stored), count), start=1)
    ]
    options = {"concurrency": PHOTOS_AT_ONCE} if count <= len(stored) else {}
    return {"images": images, "shootId": "sample", "name": "Sample photos", **options}


def _stored(owner_id: int, photo: SamplePhoto) -> StoredFile:
    """The file of an earlier run where it still holds the same bytes."""
    earlier = StoredFile.objects.filter(owner_id=owner_id, name=photo.name, size=len(photo.content)).first()
    try:
        if earlier is not None and file_content(owner_id, earlier.public_id) == photo.content:
            return earlier
    except FileMissing:
        pass
    return store_file(owner_id, photo.name, MEDIA_TYPE, photo.content)


def message_payload() -> dict[str, Any]:
    """A small campaign on the fast lane: 8 a second."""
    recipients = [
        {"phoneNumber": FICTIONAL_NUMBER.format(100 + index), "variables": {"name": NAMES[index % len(NAMES)]}}
        for index in range(RECIPIENTS)
    ]
    return {
        "text": "Hi {{name}}, your photos are rated.",
        "recipients": recipients,
        "name": "Sample texts",
        "priority": Priority.HIGH.value,
    }
