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

Answer = Callable[[HttpRequest], HttpResponseBase]
LaterAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class OwnContentOnly:
    """Sends the policy with every page, also one that tells of an error, and keeps private pages out of shared caches.

    A view that sends a policy of its own keeps it. The admin's theme brings pages of its own.
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
    if not response.headers.get("Content-Type", "").startswith("text/html") or request.path.startswith(
        reverse("admin:index")
    ):
        return response
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
