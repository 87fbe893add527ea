"""Whose page it is: signed in, their own batches, and fragments that a script asks for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django_htmx.http import HttpResponseClientRefresh

from batches.models import Batch
from batches.querysets import BatchQuerySet

View = Callable[..., HttpResponseBase]


def fragment(view: View) -> View:
    """A view of a piece of a page. Whose session has ended meanwhile gets the whole page anew: that asks to sign in."""
    signed_in = login_required(view)

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated and request.headers.get("HX-Request"):
            return HttpResponseClientRefresh()
        return signed_in(request, *args, **kwargs)

    return wrapped


def own_batches(request: HttpRequest) -> BatchQuerySet:
    """The user's batches."""
    return Batch.objects.owned_by(request.user)


def own_batch(request: HttpRequest, public_id: str) -> Batch:
    """One of them. Raises ``Http404`` for anybody else's."""
    return get_object_or_404(own_batches(request), public_id=public_id)


def with_address(request: HttpRequest, response: HttpResponse, address: str) -> HttpResponse:
    """The address that the browser shows from now on, where a person asked for a piece of its page.

    A page that only keeps itself fresh says so, and stays where it is.
    """
    if "X-Refresh" not in request.headers:
        response.headers["HX-Push-Url"] = address
    return response
