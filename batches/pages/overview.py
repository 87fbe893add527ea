"""The list of a user's batches, and the pieces of it that the page exchanges."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from batches.operations import operation_names
from batches.pages.access import fragment, own_batches, with_address
from batches.pages.filters import BatchFilter
from batches.pages.keyset import NEWER, OLDER, batch_page
from batches.pages.presentation import card
from batches.states import BatchStatus

BATCHES_PER_PAGE = 50
NOT_SHOWN = ("parameters", "warnings", "description", "source_cursor", "outcome")


@require_safe
@login_required
def batch_list(request: HttpRequest) -> HttpResponse:
    """The user's batches, newest first."""
    return render(request, "pages/batch_list.html", _context(request))


@require_safe
@fragment
def batch_rows(request: HttpRequest) -> HttpResponse:
    """The list alone, as its filter and its pager ask for it."""
    address = _address(request)
    if not request.headers.get("HX-Request"):
        return redirect(address)
    return with_address(request, render(request, "pages/parts/batches.html", _context(request)), address)


def _context(request: HttpRequest) -> dict[str, Any]:
    own = own_batches(request)
    chosen = BatchFilter.of(request.GET)
    page = batch_page(own, chosen.choose(own).defer(*NOT_SHOWN), request.GET, BATCHES_PER_PAGE)
    now = timezone.now()
    return {
        "page": page,
        "place": "batches",
        "cards": [card(batch, now) for batch in page.rows],
        "chosen": chosen,
        "statuses": BatchStatus.values,
        "operations": operation_names(),
        "is_filtered": bool(chosen.address),
        "has_none": not page.rows and not own.exists(),
    }


def _address(request: HttpRequest) -> str:
    """The page's own address with what was chosen, without what was left empty."""
    query = request.GET.copy()
    for name in list(query):
        if not query[name] or name not in {"status", "operation", "q", "since", "until", OLDER, NEWER}:
            del query[name]
    return reverse("batch-list") + (f"?{query.urlencode()}" if query else "")
