"""Provider accounts as the engine sees them: also ones that were removed from the settings while items waited."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from providers.base import Provider
from providers.registry import UnknownProvider, get_provider


def known_provider(alias: str) -> Provider | None:
    """The provider, or None when no entry of that name can be used here."""
    try:
        return get_provider(alias)
    except (UnknownProvider, ImproperlyConfigured):
        return None


def is_idempotent(alias: str) -> bool:
    """Whether repeating a call is harmless; unknown accounts count as not, operations without one as harmless."""
    if not alias:
        return True
    provider = known_provider(alias)
    return provider is not None and provider.idempotent
