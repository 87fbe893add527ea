"""Which provider a batch is sent to: its own, or, while that is unavailable and the batch may switch, a fallback. Pure
but for the settings. Single messages that another provider may send better go by :mod:`batches.dispatching.elsewhere`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from batches.dispatching.window import Runnable, Window
from batches.provider_accounts.account_states import NOTHING_KNOWN, PATIENCE_SECONDS, AccountState
from batches.provider_accounts.accounts import fallbacks_of, known_provider
from batches.states import WhenUnavailable


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
