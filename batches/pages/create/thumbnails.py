"""Small pictures of photos that were uploaded for a form."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from batches.pages.create.uploads import own_upload
from batches.pages.pictures import small_picture


@require_safe
@login_required
def upload_thumbnail(request: HttpRequest, file_id: str) -> HttpResponse:
    """As an item's page shows it."""
    stored = own_upload(int(request.user.pk or 0), file_id)
    if stored is None or not stored.media_type.startswith("image/"):
        raise Http404
    return small_picture(stored.owner_id, stored.public_id)
