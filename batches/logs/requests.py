"""Web requests: an id for each, and a line that says what was asked by whom, how it ended and how long it took.

The line names the view, never the address: an address may hold anything, and its query holds tokens.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import SimpleLazyObject

from batches.logs.fields import bound

logger = logging.getLogger("batches.requests")

HEADER = "X-Request-Id"
GIVEN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What a proxy of ours gives, such as nginx's ``$request_id``. Anything else could be anything."""
BATCH_ID = re.compile(r"batch_\d{10,16}_[0-9a-f]{24}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OF_MACHINES = frozenset({"healthz", "readyz", "metrics"})
"""Asked every few seconds by machines: told at the level DEBUG alone, and so are files of the pages."""

Answer = Callable[[HttpRequest], HttpResponseBase]
LaterAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class RequestLog:
    """The first of the middlewares, so that lines of all others are of the request as well."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Answer | LaterAnswer) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer, and tell."""
        began = time.perf_counter()
        name = id_of(request)
        with bound(request=name):
            answer = self.get_response(request)
        if isinstance(answer, HttpResponseBase):
            return _told(request, answer, name, began)

        async def later() -> HttpResponseBase:
            with bound(request=name):
                return _told(request, await answer, name, began)

        return later()


def id_of(request: HttpRequest) -> str:
    """The proxy's, where there is one; else a new one."""
    given = request.headers.get(HEADER, "") if settings.SECURE_PROXY_SSL_HEADER else ""
    return given if GIVEN.fullmatch(given) else uuid.uuid4().hex


def view_of(request: object) -> str:
    """The name of the view that answers, which holds nothing of what was asked."""
    match = getattr(request, "resolver_match", None)
    return str(match.view_name) if match is not None else "nothing"


def _told(request: HttpRequest, response: HttpResponseBase, name: str, began: float) -> HttpResponseBase:
    response.headers[HEADER] = name
    view = view_of(request)
    is_machines = view in OF_MACHINES or request.path.startswith(settings.STATIC_URL)
    level = logging.WARNING if response.status_code >= 500 else logging.DEBUG if is_machines else logging.INFO
    if logger.isEnabledFor(level):
        milliseconds = round((time.perf_counter() - began) * 1000)
        facts: dict[str, object] = {"request": name, "method": _method(request), "view": view}
        facts |= _who(request) | _batch(request) | {"status": response.status_code, "ms": milliseconds}
        words = "%s %s answered %d in %d ms"
        logger.log(level, words, facts["method"], view, response.status_code, milliseconds, extra=facts)
    return response


def _method(request: HttpRequest) -> str:
    return request.method if request.method in METHODS else "other"


def _who(request: HttpRequest) -> dict[str, object]:
    """The owner, where somebody was asked for: the line is no reason to look for a session."""
    user = request.__dict__.get("user")
    if type(user) is SimpleLazyObject:
        user = request.__dict__.get("_cached_user")
    return {"owner": user.pk} if user is not None and user.pk is not None else {}


def _batch(request: HttpRequest) -> dict[str, object]:
    match = getattr(request, "resolver_match", None)
    named = match.kwargs if match is not None else {}
    given = str(named.get("batch_id") or named.get("public_id") or "")
    return {"batch": given} if BATCH_ID.fullmatch(given) else {}
