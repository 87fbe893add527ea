"""The address that Prometheus asks."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from batches.metrics.collector import LedgerCollector

_registry = CollectorRegistry(auto_describe=False)
_registry.register(LedgerCollector())


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics: 401 without the token of ``METRICS_TOKEN``, 503 while Postgres does not answer.

    Where no token is set staff sees it, and in development everybody.
    """
    if not _is_allowed(request):
        return HttpResponse("A token is needed: see METRICS_TOKEN.\n", status=401, content_type="text/plain")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        return HttpResponse(encode(_registry), content_type=content_type)
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")


def _is_allowed(request: HttpRequest) -> bool:
    token = settings.METRICS_TOKEN
    if request.user.is_active and getattr(request.user, "is_staff", False):
        return True
    if not token:
        return not settings.PRODUCTION
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return hmac.compare_digest(given.encode(), token.encode())
