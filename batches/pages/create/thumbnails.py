"""Small pictures of photos that were uploaded for a form."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, ReadersBusy, readers
from batches.extraction.thumbnails import MEDIA_TYPE
from batches.files import FileMissing, file_content
from batches.pages.create.uploads import own_upload
from batches.pages.items import KEPT_SECONDS, PATIENCE_SECONDS


@require_safe
@login_required
def upload_thumbnail(request: HttpRequest, file_id: str) -> HttpResponse:
    """Made by a process of its own; browsers keep it for a day."""
    stored = own_upload(int(request.user.pk or 0), file_id)
    if stored is None or not stored.media_type.startswith("image/"):
        raise Http404
    try:
        content = file_content(stored.owner_id, stored.public_id)
        picture = readers().thumbnail(content, patience_seconds=PATIENCE_SECONDS)
    except (FileMissing, Unreadable):
        raise Http404 from None
    except (ReaderLost, ReadersBusy):
        return HttpResponse(status=503, headers={"Retry-After": "5", "Cache-Control": "no-store"})
    answer = HttpResponse(picture, content_type=MEDIA_TYPE)
    patch_cache_control(answer, private=True, max_age=KEPT_SECONDS, immutable=True)
    return answer
