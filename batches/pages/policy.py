"""What our pages may load: their own scripts and styles, nothing inline and nothing from other hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

ADMIN_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
"""The admin's theme evaluates what its own templates say (Alpine), and sets its colours in a style; no page may bring a
script of its own here either. Popups of the admin are frames of it."""

Answer = Callable[[HttpRequest], HttpResponseBase]
LaterAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class OwnContentOnly:
    """Sends the policy with every page, also one that tells of an error, and keeps private pages out of shared caches.

    A view that sends a policy of its own keeps it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Answer | LaterAnswer) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer, with the policy."""
        answer = self.get_response(request)
        if isinstance(answer, HttpResponseBase):
            return _with_policy(request, answer)

        async def later() -> HttpResponseBase:
            return _with_policy(request, await answer)

        return later()


def _with_policy(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return response
    is_admins = request.path.startswith(reverse("admin:index"))
    response.headers.setdefault("Content-Security-Policy", ADMIN_POLICY if is_admins else POLICY)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
