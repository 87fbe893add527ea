"""One item's page, and the small picture of a photo that was uploaded."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, ReadersBusy, readers
from batches.extraction.thumbnails import MEDIA_TYPE
from batches.files import FileMissing, file_content
from batches.models import Batch, Item
from batches.pages.access import own_batch
from batches.pages.presentation import title
from batches.pages.story import story, waits

PATIENCE_SECONDS = 5.0
KEPT_SECONDS = 24 * 3600
LARGEST_POSITION = 2**31 - 1


@require_safe
@login_required
def item_detail(request: HttpRequest, public_id: str, position: str) -> HttpResponse:
    """Its whole story."""
    batch = own_batch(request, public_id)
    item = _item(batch, position)
    context = {
        "batch": batch,
        "place": "batches",
        "batch_title": title(batch),
        "item": item,
        "story": story(batch, item, request.user),
        "waits": waits(item),
        "here": reverse("item-detail", args=[public_id, item.position]),
        "previous": item.position - 1 if item.position else None,
        "next": item.position + 1 if item.position + 1 < batch.total else None,
    }
    return render(request, "pages/item_detail.html", context)


@require_safe
@login_required
def item_photo(request: HttpRequest, public_id: str, position: str) -> HttpResponse:
    """A small picture of an uploaded photo, made by a process of its own; browsers keep it for a day."""
    batch = own_batch(request, public_id)
    file_id = _item(batch, position).input.get("fileId")
    if not isinstance(file_id, str):
        raise Http404
    try:
        content = file_content(batch.owner_id, file_id)
        picture = readers().thumbnail(content, patience_seconds=PATIENCE_SECONDS)
    except (FileMissing, Unreadable):
        raise Http404 from None
    except (ReaderLost, ReadersBusy):
        return HttpResponse(status=503, headers={"Retry-After": "5", "Cache-Control": "no-store"})
    answer = HttpResponse(picture, content_type=MEDIA_TYPE)
    patch_cache_control(answer, private=True, max_age=KEPT_SECONDS, immutable=True)
    return answer


def _item(batch: Batch, position: str) -> Item:
    if len(position) > 10 or int(position) > LARGEST_POSITION:
        raise Http404
    return get_object_or_404(Item, batch=batch, position=int(position))
