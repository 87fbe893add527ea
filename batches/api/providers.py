"""Which providers a batch may name."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from batches.accounts import known_provider
from batches.api.base import ApiView
from batches.api.callbacks import callbacks_shape
from batches.api.shapes import instant
from batches.models import ProviderAccount
from providers.registry import VERBS, provider_aliases

DEFAULTS = {"chat": "DEFAULT_CHAT_PROVIDER", "sms": "DEFAULT_SMS_PROVIDER"}


class ProvidersView(ApiView):
    """``GET /api/providers``."""

    def get(self, request: Request) -> Response:
        """Every configured provider: what it can do, whether it can be used now, and its limits."""
        closed = dict(ProviderAccount.objects.values_list("alias", "closed_until"))
        shapes = [provider_shape(alias, closed.get(alias)) for alias in provider_aliases()]
        return Response({"success": True, "providers": shapes})


def provider_shape(alias: str, closed_until: Any) -> dict[str, Any]:
    """A provider; nothing of its key or account."""
    provider = known_provider(alias)
    kinds = [kind for kind in VERBS if alias in provider_aliases(kind)]
    shape = {
        "id": alias,
        "model": settings.PROVIDERS[alias].get("model"),
        "kinds": kinds,
        "isDefault": any(getattr(settings, DEFAULTS[kind], None) == alias for kind in kinds if kind in DEFAULTS),
        "usable": provider is not None,
        "usesSandbox": provider.uses_sandbox if provider else None,
        "closedUntil": instant(closed_until),
        "limits": None,
        "callbacks": callbacks_shape(alias),
    }
    if provider is not None:
        shape["limits"] = {
            "requestsPerMinute": provider.limits.requests_per_minute,
            "maxInFlight": provider.limits.max_in_flight,
            "smsPerSecond": dict(provider.limits.sms_per_second),
        }
    return shape
