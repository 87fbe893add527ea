"""Photos as a Python user names them, to the ``images`` of document 001."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchsite.client.shapes import StoredFile

LONGEST_ID = 200

Photo = str | Path | Mapping[str, Any]


def image_list(photos: Sequence[Photo], upload: Callable[[list[Path]], list[StoredFile]]) -> list[dict[str, Any]]:
    """Objects as they are; URLs and files with their names as ids, files uploaded on the way."""
    files = [Path(photo) for photo in photos if not isinstance(photo, Mapping) and not _is_url(photo)]
    stored = iter(upload(files))
    taken = {str(photo["id"]) for photo in photos if isinstance(photo, Mapping) and "id" in photo}
    images: list[dict[str, Any]] = []
    for photo in photos:
        if isinstance(photo, Mapping):
            images.append(dict(photo))
        elif not _is_url(photo):
            name = Path(photo).name
            images.append({"id": _free(name, taken), "filename": name, "fileId": next(stored).id})
        else:
            images.append({"id": _free(str(photo), taken), "url": str(photo)})
    return images


def _is_url(photo: str | Path) -> bool:
    return isinstance(photo, str) and photo.lower().startswith(("http://", "https://"))


def _free(wanted: str, taken: set[str]) -> str:
    """An id that no other image of the batch has."""
    name, number = wanted[-LONGEST_ID:], 1
    while name in taken:
        number += 1
        name = f"{wanted[-LONGEST_ID + 12 :]}-{number}"
    taken.add(name)
    return name
