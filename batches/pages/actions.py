"""What the buttons do: each calls the service that the API calls, and a refusal becomes a message on the page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from batches import services
from batches.cloning import clone
from batches.models import Batch
from batches.pages.access import own_batch
from batches.pages.create.submitting import TooManyBatches, count_create
from batches.problems import Conflict, InvalidInput
from batches.steering import read_changes, read_positions

Verb = Callable[[Batch, int, HttpRequest], str]


@require_POST
@login_required
def batch_verb(request: HttpRequest, public_id: str, verb: str) -> HttpResponse:
    """Start, pause, resume, cancel, retry, change or copy."""
    batch = own_batch(request, public_id)
    act = _VERBS.get(verb)
    try:
        if verb == "clone":
            count_create(batch.owner_id)
            draft = clone(batch)
            messages.success(request, "This is a copy. Look through it, change what you like, and start it.")
            return redirect("batch-detail", public_id=draft.public_id)
        if act is None:
            messages.error(request, "There is no such action.")
        else:
            messages.success(request, act(batch, int(request.user.pk or 0), request))
    except (Conflict, TooManyBatches) as refusal:
        messages.error(request, str(refusal))
    except InvalidInput as refused:
        for problem in refused.problems:
            messages.error(request, f"{_LABELS.get(problem.path, problem.path)}: {problem.message}")
    return redirect(_back(request, batch))


def _back(request: HttpRequest, batch: Batch) -> str:
    """Where the button stood, if that is a page of ours."""
    place = request.POST.get("next", "")
    if place.startswith("/") and url_has_allowed_host_and_scheme(place, allowed_hosts=None):
        return place
    return reverse("batch-detail", args=[batch.public_id])


def _start(batch: Batch, user_id: int, request: HttpRequest) -> str:
    services.start(batch, actor_id=user_id)
    return "The batch is running."


def _pause(batch: Batch, user_id: int, request: HttpRequest) -> str:
    services.pause(batch, actor_id=user_id)
    return "The batch is paused. Calls that are under way end and are recorded."


def _resume(batch: Batch, user_id: int, request: HttpRequest) -> str:
    services.resume(batch, actor_id=user_id)
    return "The batch is running again."


def _cancel(batch: Batch, user_id: int, request: HttpRequest) -> str:
    services.cancel(batch, actor_id=user_id)
    return "The batch is cancelled. Calls that are under way end and are recorded."


def _retry(batch: Batch, user_id: int, request: HttpRequest) -> str:
    """All of them, or the ones whose boxes are ticked."""
    chosen = request.POST.getlist("position")
    if "selected" in request.POST and not chosen:
        return "No item was chosen, so nothing was changed."
    positions = read_positions({"positions": [_number(each) for each in chosen]}) if chosen else None
    moved = services.retry_failed(batch, actor_id=user_id, positions=positions)
    return f"{moved:,} failed {'item runs' if moved == 1 else 'items run'} again."


def _change(batch: Batch, user_id: int, request: HttpRequest) -> str:
    """The fields of the form; an empty one is no limit."""
    given = {name: request.POST[name].strip() for name in _LABELS if name in request.POST}
    wanted = {name: _typed(name, text) if text else None for name, text in given.items()}
    services.change(batch, read_changes(wanted), actor_id=user_id)
    return "Changed. It holds for every call that begins from now on."


def _typed(name: str, text: str) -> int | float | str:
    return text if name in {"priority", "maxCost"} else _number(text)


def _number(text: str) -> int | float | str:
    """What was typed, as a number where it is one; what is none is left for the reader to refuse."""
    for kind in (int, float):
        try:
            return kind(text[:32])
        except ValueError:
            continue
    return text


_LABELS = {"rateLimit": "Calls a minute", "concurrency": "Calls at once", "priority": "Priority", "maxCost": "Budget"}
_VERBS: dict[str, Verb] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
    "change": _change,
}
