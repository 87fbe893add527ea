"""Sign in, see your batches, watch one, stop it, run what failed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import cached_property
from django.views.decorators.http import require_POST, require_safe

from batches import services
from batches.models import Batch, Item
from batches.pages.presentation import card, error_groups, item_row, verbs
from batches.problems import Conflict
from batches.querysets import BatchQuerySet

if TYPE_CHECKING:
    _Paginator = Paginator[Item]
else:
    _Paginator = Paginator  # at run time it takes no parameter

BATCHES_PER_PAGE = 50
ITEMS_PER_PAGE = 50


@require_safe
@login_required
def batch_list(request: HttpRequest) -> HttpResponse:
    """The user's batches, newest first."""
    batches = _own(request).defer("parameters", "warnings", "description")
    page = Paginator(batches, BATCHES_PER_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    return render(request, "pages/batch_list.html", {"page": page, "cards": [card(batch, now) for batch in page]})


@require_safe
@login_required
def batch_detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """One batch: where it stands, what went wrong, its items. The page's script keeps it live."""
    batch = get_object_or_404(_own(request).defer("parameters"), public_id=public_id)
    page = ItemPaginator(batch).get_page(request.GET.get("page"))
    context = {
        "batch": batch,
        "card": card(batch, timezone.now()),
        "verbs": verbs(batch),
        "error_groups": error_groups(batch),
        "page": page,
        "rows": [item_row(batch, item, request.user) for item in page.object_list],
    }
    return render(request, "pages/batch_detail.html", context)


@require_POST
@login_required
def batch_verb(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Start, pause, resume, cancel or retry; a refusal becomes a message on the page."""
    batch = get_object_or_404(_own(request), public_id=public_id)
    try:
        messages.success(request, _VERBS[verb](batch, request.user.pk))
    except KeyError:
        messages.error(request, "There is no such action.")
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("batch-detail", public_id=public_id)


def _own(request: HttpRequest) -> BatchQuerySet:
    return Batch.objects.owned_by(request.user)


def _start(batch: Batch, user_id: int) -> str:
    services.start(batch, actor_id=user_id)
    return "The batch is running."


def _pause(batch: Batch, user_id: int) -> str:
    services.pause(batch, actor_id=user_id)
    return "The batch is paused. Calls that are under way end and are recorded."


def _resume(batch: Batch, user_id: int) -> str:
    services.resume(batch, actor_id=user_id)
    return "The batch is running again."


def _cancel(batch: Batch, user_id: int) -> str:
    services.cancel(batch, actor_id=user_id)
    return "The batch is cancelled. Calls that are under way end and are recorded."


def _retry(batch: Batch, user_id: int) -> str:
    moved = services.retry_failed(batch, actor_id=user_id)
    return f"{moved:,} failed {'item runs' if moved == 1 else 'items run'} again."


_VERBS: dict[str, Callable[[Batch, Any], str]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
}


class ItemPaginator(_Paginator):
    """Pages of a batch's items by position: the last page of a million costs what the first does, and the batch's own
    counter says how many there are."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(Item.objects.none(), ITEMS_PER_PAGE)
        self.batch = batch

    @cached_property
    def count(self) -> int:
        """Without asking the items."""
        return self.batch.total

    def page(self, number: int | str) -> Page[Item]:
        """The items from the page's first position on."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        places = {"position__gte": first, "position__lt": first + self.per_page}
        items = self.batch.items.filter(**places).order_by("position")
        return Page(list(items), number, self)
