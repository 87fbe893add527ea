"""One batch: how far it is, what holds it back, how it went, its items; and the pieces that the page exchanges."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from batches.exporting.rows import ERRORS, ITEMS, RESULTS
from batches.exporting.streams import FORMATS
from batches.holdups import holdups
from batches.models import Batch
from batches.pages.access import fragment, own_batch, own_batches, with_address
from batches.pages.filters import ItemFilter
from batches.pages.item_pages import AFTER, BEFORE, item_page
from batches.pages.outcome import made
from batches.pages.panels import panels
from batches.pages.presentation import can_change, can_retry, card, error_groups, item_row, verbs
from batches.result_files import result_files
from batches.states import BatchStatus, ItemStatus, Priority
from providers.base import ErrorCategory

ITEMS_PER_PAGE = 50
MOST_FILES = 20
EXPORTS = ((RESULTS, "Results"), (ITEMS, "All items"), (ERRORS, "Errors"))


@require_safe
@login_required
def batch_detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """The page. Its script keeps it live."""
    batch = get_object_or_404(own_batches(request).defer("parameters", "source_cursor"), public_id=public_id)
    context = {
        **_state(request, batch),
        **_items(request, batch),
        "priorities": Priority.values,
        "can_change": can_change(batch),
    }
    return render(request, "pages/batch_detail.html", context)


@require_safe
@fragment
def batch_state(request: HttpRequest, public_id: str) -> HttpResponse:
    """Everything but the items, to be exchanged in place."""
    batch = own_batch(request, public_id)
    return render(request, "pages/parts/state.html", {**_state(request, batch), "in_place": True})


@require_safe
@fragment
def batch_items(request: HttpRequest, public_id: str) -> HttpResponse:
    """The items alone, as their filter and their pager ask for them."""
    batch = own_batch(request, public_id)
    address = _address(request, batch)
    if not request.headers.get("HX-Request"):
        return redirect(f"{address}#items")
    answer = render(request, "pages/parts/items.html", _items(request, batch))
    return with_address(request, answer, address)


def _state(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    now = timezone.now()
    drawn, seen = panels(batch, request.user, now), card(batch, now)
    return {
        "batch": batch,
        "card": seen,
        "place": "batches",
        "verbs": verbs(batch),
        "panels": drawn,
        "rate": drawn.recent if batch.status == BatchStatus.RUNNING else seen.average_rate if batch.is_final else None,
        "holdups": holdups(batch, per_second=drawn.recent),
        "error_groups": error_groups(batch),
        "made": made(batch.outcome),
        "files": result_files(batch)[:MOST_FILES] if batch.finishes and batch.is_final else (),
    }


def _items(request: HttpRequest, batch: Batch) -> dict[str, Any]:
    chosen = ItemFilter.of(request.GET)
    page = item_page(batch, chosen.choice, request.GET, request.user, ITEMS_PER_PAGE)
    return {
        "batch": batch,
        "chosen": chosen,
        "page": page,
        "rows": [item_row(batch, item, request.user) for item in page.rows],
        "statuses": ItemStatus.values,
        "categories": [one.value for one in ErrorCategory],
        "retriable": can_retry(batch) and any(item.status == ItemStatus.FAILED for item in page.rows),
        "exports": EXPORTS,
        "formats": FORMATS,
        "here": _address(request, batch),
        "last_number": page.rows[-1].position + 1 if page.rows else 0,
    }


def _address(request: HttpRequest, batch: Batch) -> str:
    """The page's own address with what was chosen, without what was left empty."""
    query = request.GET.copy()
    for name in list(query):
        if not query[name] or name not in {"status", "category", "code", "q", AFTER, BEFORE}:
            del query[name]
    return reverse("batch-detail", args=[batch.public_id]) + (f"?{query.urlencode()}" if query else "")
