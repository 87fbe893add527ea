"""What is known of the provider accounts: read by dispatcher and workers alike, and kept by each process meanwhile.

A row is written where something was learned from a provider's answers (:mod:`batches.running.account_statements`); an
account without a row has never been called, or never said anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

PATIENCE_SECONDS = 3.0
"""An account that a 429 closed for no longer is waited for, also where a fallback would be there."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account. ``reopening_in``: seconds until a 429 lets it be called again, or negative, since it did.

    ``opened_for``: the error for which its breaker is open, empty while it is not. ``probe_in``: seconds until a call
    may find out. ``concurrency``: calls in flight that it bears, None where no answer ever spoke against more.
    ``is_known``: whether it has answered at all, so that what its headers say of its limits is known.
    """

    reopening_in: float | None = None
    opened_for: str = ""
    probe_in: float | None = None
    concurrency: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    tokens_per_call: float | None = None
    is_known: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its breaker is: nothing but probes is sent."""
        return bool(self.opened_for)

    def is_unavailable(self, patience_seconds: float = 0.0) -> bool:
        """Whether it takes no calls, and will not within so long."""
        return self.is_open or (self.reopening_in or 0.0) > patience_seconds


NOTHING_KNOWN = AccountState()

_READ = """
    SELECT alias, EXTRACT(EPOCH FROM closed_until - clock_timestamp())::float8,
           CASE WHEN opened_at IS NULL THEN '' ELSE COALESCE(NULLIF(opened_for, ''), 'unknown') END,
           EXTRACT(EPOCH FROM probe_at - clock_timestamp())::float8,
           concurrency, requests_per_minute, tokens_per_minute, tokens_per_call, learned_at IS NOT NULL
      FROM batches_provideraccount
"""


def read_states(cursor: CursorWrapper) -> dict[str, AccountState]:
    """All accounts by alias; there are tens of them at most."""
    cursor.execute(_READ)
    return {row[0]: AccountState(*row[1:]) for row in cursor.fetchall()}


class KnownAccounts:
    """What this process read last, and what it has learned itself since."""

    def __init__(self) -> None:
        self._states: Mapping[str, AccountState] = {}
        self._paced: Mapping[str, tuple[float | None, float | None]] = {}
        self.version = 0
        """Changes with every rate that is known: who keeps what was derived from one looks here."""

    def state(self, alias: str) -> AccountState:
        """What is known of an account."""
        return self._states.get(alias, NOTHING_KNOWN)

    def replace(self, states: Mapping[str, AccountState]) -> None:
        """Take over what was read."""
        self._states = states
        paced = {
            alias: (state.requests_per_minute, state.tokens_per_minute)
            for alias, state in states.items()
            if state.requests_per_minute or state.tokens_per_minute
        }
        if paced != self._paced:
            self._paced = paced
            self.version += 1

    def learn(self, alias: str, state: AccountState) -> None:
        """Know at once what the others read within a moment."""
        self.replace({**self._states, alias: state})


known_accounts = KnownAccounts()
