"""Which provider a batch is sent to: its own, or, while that is unavailable and the batch may switch, a fallback. Pure
but for the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.conf import settings

from batches.account_states import NOTHING_KNOWN, AccountState
from batches.accounts import known_provider
from batches.dispatching.window import Runnable, Window
from batches.states import WhenUnavailable

PATIENCE_SECONDS = 3.0
"""An account that a 429 closed for no longer is waited for."""


def with_detours(window: Window) -> Window:
    """The window with its batches as they are to be sent now: their ``provider`` is who is called."""
    if not any(state.is_unavailable(PATIENCE_SECONDS) for state in window.states.values()):
        return window
    return replace(window, batches=tuple(_detoured(batch, window.states) for batch in window.batches))


def _detoured(batch: Runnable, states: Mapping[str, AccountState]) -> Runnable:
    if batch.when_unavailable != WhenUnavailable.SWITCH:
        return batch
    if not states.get(batch.provider, NOTHING_KNOWN).is_unavailable(PATIENCE_SECONDS):
        return batch
    for alias in fallbacks_of(batch.provider, batch.fallbacks):
        if not states.get(alias, NOTHING_KNOWN).is_unavailable() and known_provider(alias) is not None:
            return replace(batch, provider=alias)
    return batch


def fallbacks_of(alias: str, named: Sequence[str]) -> Sequence[str]:
    """The alternatives of a provider, best first: those that the batch names, or those of the provider's entry."""
    entry = settings.PROVIDERS.get(alias, {})
    return [each for each in named or entry.get("fallbacks", ()) if each != alias]
