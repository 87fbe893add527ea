"""Which providers a batch may name, what they cost, and what keeps them from being used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView
from batches.api.callbacks import callbacks_shape
from batches.api.shapes import instant
from batches.models import ProviderAccount
from batches.provider_accounts.accounts import known_provider
from batches.states import ECONOMY, FAST
from providers.base import Provider, answers_batches
from providers.keys import is_undecipherable, key_of
from providers.prices import UNITS, prices_of
from providers.registry import VERBS, lacks_of, problems_of, provider_aliases

DEFAULTS = {"chat": "DEFAULT_CHAT_PROVIDER", "images": "DEFAULT_IMAGE_PROVIDER", "sms": "DEFAULT_SMS_PROVIDER"}


class ProvidersView(ApiView):
    """``GET /api/providers``."""

    def get(self, request: Request) -> Response:
        """Every configured provider: what it can do, whether it can be used now or why not, limits and prices."""
        accounts = ProviderAccount.objects.in_bulk()
        details = bool(getattr(request.user, "is_staff", False))
        shapes = [provider_shape(alias, accounts.get(alias), details=details) for alias in provider_aliases()]
        return Response({"success": True, "providers": shapes})


def provider_shape(alias: str, account: ProviderAccount | None, *, details: bool = False) -> dict[str, Any]:
    """A provider; nothing of its key or account. ``details``: what is wrong with its entry, for who can mend it.

    ``usable``: a batch may name it. ``available``: it takes calls now; where not, items wait for it.
    """
    provider, key = known_provider(alias), key_of(alias)
    kinds = [kind for kind in VERBS if alias in provider_aliases(kind)]
    hindrances = list(_hindrances(alias, provider, account, details=details))
    return {
        "id": alias,
        "model": settings.PROVIDERS[alias].get("model"),
        "kinds": kinds,
        "isDefault": any(getattr(settings, DEFAULTS[kind], None) == alias for kind in kinds),
        "usable": provider is not None,
        "available": provider is not None and not hindrances,
        "hindrances": hindrances,
        "usesSandbox": provider.uses_sandbox if provider else None,
        "credentials": key.origin if key else None,
        "modes": [FAST, *([ECONOMY] if provider and answers_batches(provider) else [])],
        "closedUntil": instant(account.closed_until) if account else None,
        "limits": limits_shape(provider, account) if provider else None,
        "prices": prices_shape(alias),
        "callbacks": callbacks_shape(alias),
    }


def _hindrances(
    alias: str, provider: Provider | None, account: ProviderAccount | None, *, details: bool
) -> Iterator[dict[str, Any]]:
    if provider is None:
        yield _why_unusable(alias, details=details)
    if account is None:
        return
    if account.opened_at is not None:
        words = f"It refuses our calls ({account.opened_for or 'unknown'}); one is tried now and then."
        yield {"code": "unavailable", "message": words, "until": instant(account.probe_at)}
    if account.is_closed:
        yield {"code": "closed", "message": "It asked everybody to wait.", "until": instant(account.closed_until)}


def _why_unusable(alias: str, *, details: bool) -> dict[str, Any]:
    if wrong := [*problems_of(alias), *lacks_of(alias)]:
        words = " ".join(wrong) if details else "Its entry in the settings is wrong."
        return {"code": "misconfigured", "message": words, "until": None}
    if is_undecipherable(alias):
        words = "Its key was encrypted with one that is not among CREDENTIAL_KEYS any more."
        return {"code": "undecipherable_key", "message": words, "until": None}
    return {"code": "no_key", "message": "It has no key.", "until": None}


def limits_shape(provider: Provider, account: ProviderAccount | None) -> dict[str, Any]:
    """What is configured, and, learned from its answers, what it says and bears."""
    return {
        "requestsPerMinute": provider.limits.requests_per_minute,
        "tokensPerMinute": provider.limits.tokens_per_minute,
        "maxInFlight": provider.limits.max_in_flight,
        "smsPerSecond": dict(provider.limits.sms_per_second),
        "learned": {
            "requestsPerMinute": account.requests_per_minute if account else None,
            "tokensPerMinute": account.tokens_per_minute if account else None,
            "concurrency": account.concurrency if account else None,
        },
    }


def prices_shape(alias: str) -> dict[str, Any] | None:
    """What it asks, as it stands in the settings, and what users are charged of it; null without prices."""
    prices = prices_of(alias)
    if prices is None:
        return None
    entry = settings.PROVIDERS[alias]["prices"]
    asked = {_camel(name): str(entry[name]) if name in entry else None for name in UNITS}
    return {
        "currency": prices.currency,
        "asOf": prices.as_of.isoformat(),
        **asked,
        "markup": str(settings.COST_MARKUP),
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
