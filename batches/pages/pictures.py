"""A small picture of an uploaded photo as an answer, made by a process of its own; browsers keep it for a day."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.utils.cache import patch_cache_control

from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, ReadersBusy, readers
from batches.extraction.thumbnails import MEDIA_TYPE
from batches.files import FileMissing, file_content

NO_PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 132 99" width="132" height="99">
<rect width="132" height="99" fill="#8a90a6" fill-opacity=".18"/>
<g transform="translate(46 30) scale(1.65)" fill="none" stroke="#7a8097" stroke-width="1.5" stroke-linecap="round">
<rect x="3" y="5" width="18" height="14" rx="2"/><path d="M2 22 22 2"/></g></svg>"""
"""In place of a file that calls itself a picture and cannot be read as one."""
PATIENCE_SECONDS = 5.0
KEPT_SECONDS = 24 * 3600


def small_picture(owner_id: int, file_id: str) -> HttpResponse:
    """Of this owner's file, or the sign for one that cannot be read. Raises ``Http404`` where there is no file; 503
    while all are busy."""
    picture: bytes | str
    try:
        content = file_content(owner_id, file_id)
        picture, media_type = readers().thumbnail(content, patience_seconds=PATIENCE_SECONDS), MEDIA_TYPE
    except FileMissing:
        raise Http404 from None
    except Unreadable:
        picture, media_type = NO_PICTURE, "image/svg+xml"
    except (ReaderLost, ReadersBusy):
        return HttpResponse(status=503, headers={"Retry-After": "5", "Cache-Control": "no-store"})
    answer = HttpResponse(picture, content_type=media_type)
    patch_cache_control(answer, private=True, max_age=KEPT_SECONDS, immutable=True)
    return answer
