"""Provider accounts as the engine sees them: also ones that were removed from the settings while items waited."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
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


def fallbacks_of(alias: str, named: Sequence[str]) -> Sequence[str]:
    """The alternatives of a provider, best first: those that the batch names, or those of the provider's entry."""
    entry = settings.PROVIDERS.get(alias, {})
    return [each for each in named or entry.get("fallbacks", ()) if each != alias]


def chain_of(alias: str, named: Sequence[str]) -> tuple[str, ...]:
    """Who may send a message of a batch that may switch, in order; empty where nobody but its own provider may."""
    provider = known_provider(alias)
    if provider is None or provider.idempotent:
        return ()
    fallbacks = tuple(each for each in fallbacks_of(alias, named) if known_provider(each) is not None)
    return (alias, *fallbacks) if fallbacks else ()
