"""One item's page, and the small picture of a photo that was uploaded."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from batches.models import Batch, Item
from batches.pages.access import own_batch
from batches.pages.pictures import small_picture
from batches.pages.presentation import title
from batches.pages.story import story, waits

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
    """A small picture of its photo, where that was uploaded."""
    batch = own_batch(request, public_id)
    file_id = _item(batch, position).input.get("fileId")
    if not isinstance(file_id, str):
        raise Http404
    return small_picture(batch.owner_id, file_id)


def _item(batch: Batch, position: str) -> Item:
    if len(position) > 10 or int(position) > LARGEST_POSITION:
        raise Http404
    return get_object_or_404(Item, batch=batch, position=int(position))
