"""The pages of records."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from batches.pages.access import fragment, with_address
from batches.pages.records.choice import RecordChoice
from batches.pages.records.listing import NEWER, OLDER, kinds_of, record_page
from records.models import Record
from records.shapes import title_of

RECORDS_PER_PAGE = 50
LONGEST_SHOWN = 100_000
WORK = ("export", "annotate", "transform", "validate", "report", "cleanup")


@require_safe
@login_required
def record_list(request: HttpRequest) -> HttpResponse:
    """The user's records, newest first, or the best of a search."""
    return render(request, "pages/records/list.html", _context(request))


@require_safe
@fragment
def record_rows(request: HttpRequest) -> HttpResponse:
    """The list alone, as its filter and its pager ask for it."""
    chosen = RecordChoice.of(request.GET)
    address = reverse("record-list") + (f"?{chosen.address}" if chosen.address else "")
    if not request.headers.get("HX-Request"):
        return redirect(address)
    return with_address(request, render(request, "pages/records/answer.html", _context(request)), address)


@require_safe
@login_required
def record_detail(request: HttpRequest, record_id: str) -> HttpResponse:
    """One record, all of it."""
    own = Record.objects.owned_by(int(request.user.pk or 0)).select_related("topic")
    record = get_object_or_404(own, public_id=record_id)
    document = json.dumps(record.metadata, ensure_ascii=False, indent=2) if record.metadata else ""
    context = {
        "record": record,
        "title": title_of(record) or record.public_id,
        "content": record.content[:LONGEST_SHOWN],
        "is_cut": len(record.content) > LONGEST_SHOWN,
        "metadata": document[:LONGEST_SHOWN],
        "came_from": RecordChoice.of(request.GET).address,
        "place": "records",
    }
    return render(request, "pages/records/detail.html", context)


def _context(request: HttpRequest) -> dict[str, Any]:
    owner_id = int(request.user.pk or 0)
    chosen = RecordChoice.of(request.GET)
    kinds = kinds_of(owner_id)
    page = record_page(owner_id, chosen, kinds, request.GET, RECORDS_PER_PAGE)
    return {
        "chosen": chosen,
        "page": page,
        "rows": [(record, title_of(record) or record.public_id, page.scores.get(record.pk)) for record in page.rows],
        "kinds": kinds if not chosen.kind or chosen.kind in kinds else [*kinds, chosen.kind],
        "has_none": not kinds,
        "is_filtered": bool(chosen.address),
        "is_paged": OLDER in request.GET or NEWER in request.GET,
        "work": WORK,
        "place": "records",
    }
