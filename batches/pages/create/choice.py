"""What to start."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Three doors."""
    return render(request, "pages/create/choose.html", {"place": "new"})
