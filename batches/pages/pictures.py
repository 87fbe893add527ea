"""A small picture of an uploaded photo as an answer, made by a process of its own; browsers keep it for a day."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.utils.cache import patch_cache_control

from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, ReadersBusy, readers
from batches.extraction.thumbnails import MEDIA_TYPE
from batches.files import FileMissing, file_content

PATIENCE_SECONDS = 5.0
KEPT_SECONDS = 24 * 3600


def small_picture(owner_id: int, file_id: str) -> HttpResponse:
    """Of this owner's file. Raises ``Http404`` where it is none, or no picture; 503 while all are busy."""
    try:
        content = file_content(owner_id, file_id)
        picture = readers().thumbnail(content, patience_seconds=PATIENCE_SECONDS)
    except (FileMissing, Unreadable):
        raise Http404 from None
    except (ReaderLost, ReadersBusy):
        return HttpResponse(status=503, headers={"Retry-After": "5", "Cache-Control": "no-store"})
    answer = HttpResponse(picture, content_type=MEDIA_TYPE)
    patch_cache_control(answer, private=True, max_age=KEPT_SECONDS, immutable=True)
    return answer
