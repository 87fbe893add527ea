"""What one group commit writes of the provider accounts: closed by a 429, breakers, calls in flight cut and raised.

An account that answers well, and never did otherwise, costs nothing here: no statement runs for it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.backends.utils import CursorWrapper

from batches.dispatching.probes import SHORTEST_SECONDS
from batches.outcomes import ACCOUNT_CATEGORIES
from batches.provider_accounts.account_states import AccountState, known_accounts
from batches.running.account_health import TROUBLE_CATEGORIES
from batches.running.changes import Change, clean
from batches.states import ECONOMY_LANE
from providers.base import ErrorCategory

CUT = 0.75
CUT_SECONDS = 1.0
"""Not cut again within so long, nor for answers to calls that had begun before the last cut."""
RAISE_SECONDS = 1.0
RAISE_SHARE = 0.05
"""Added for as many good answers as there may be calls in flight; at least one."""
FORGOTTEN_SECONDS = 600
"""A bound that nothing spoke for during so long is none any more."""
OVERLOAD_CODES = frozenset({"http_529", "overloaded_error", "server_is_overloaded", "slow_down", "UNAVAILABLE"})


@dataclass(slots=True)
class Tally:
    """One account's part of a group. ``overloaded``: duration in seconds of the shortest call that met an overload,
    ``healthy``: of the shortest that was answered. ``closed``: for so many seconds a 429 closes it to everybody."""

    good: int = 0
    troubled: bool = False
    overloaded: float | None = None
    healthy: float | None = None
    closed: float = 0.0
    opens_for: str = ""


def tally(group: Sequence[Change]) -> dict[str, Tally]:
    """What a group says of its accounts. Pure.

    Also where an item was lost meanwhile: what the provider said is true whoever has the item now.
    """
    tallies: dict[str, Tally] = {}
    for change in group:
        if not change.provider or not (change.attempts or change.opens_account):
            continue
        account = tallies.get(change.provider)
        if account is None:
            account = tallies[change.provider] = Tally()
        _count(account, change)
    return tallies


def _count(account: Tally, change: Change) -> None:
    seconds = (change.duration_ms or 0) / 1000
    account.opens_for = account.opens_for or change.opens_account
    account.closed = max(account.closed, change.closes_account_seconds)
    fault = change.fault
    if fault is None:
        account.good += 1
    if fault is None or fault.category not in ACCOUNT_CATEGORIES | TROUBLE_CATEGORIES | {ErrorCategory.INTERNAL}:
        account.healthy = seconds if account.healthy is None else min(account.healthy, seconds)
    elif fault.category == ErrorCategory.RATE_LIMIT or fault.code in OVERLOAD_CODES:
        account.overloaded = seconds if account.overloaded is None else min(account.overloaded, seconds)
    elif fault.category in TROUBLE_CATEGORIES:
        account.troubled = True


@dataclass(slots=True)
class Accounts:
    """What this process has yet to write, and when it wrote last; the clock is ``time.monotonic()``."""

    raised_at: dict[str, float] = field(default_factory=dict)
    cut_at: dict[str, float] = field(default_factory=dict)
    good: Counter[str] = field(default_factory=Counter)

    def write(self, cursor: CursorWrapper, group: Sequence[Change]) -> None:
        """Write what a group says of its accounts, in the order of their names, so that nobody waits in a ring."""
        now = time.monotonic()
        for alias, account in sorted(tally(group).items()):
            state = known_accounts.state(alias)
            if account.opens_for:
                open_breaker(cursor, alias, account.opens_for)
            elif state.is_open and account.healthy is not None:
                answered(cursor, alias, account.healthy)
            if account.closed:
                cursor.execute(_CLOSE_UNTIL, [alias, account.closed])
            if account.overloaded is not None:
                self._cut(cursor, alias, account.overloaded, now)
            elif state.concurrency is not None:
                self._raise(cursor, alias, account, state, now)

    def _cut(self, cursor: CursorWrapper, alias: str, seconds: float, now: float) -> None:
        self.good.pop(alias, None)
        if now - self.cut_at.get(alias, -CUT_SECONDS) < CUT_SECONDS:
            return
        self.cut_at[alias] = now
        cursor.execute(_CUT, {"alias": alias, "seconds": max(CUT_SECONDS, seconds)})

    def _raise(self, cursor: CursorWrapper, alias: str, account: Tally, state: AccountState, now: float) -> None:
        """Once a second; where the provider fails meanwhile, not at all."""
        self.good[alias] = 0 if account.troubled else self.good[alias] + account.good
        if now - self.raised_at.get(alias, 0.0) < RAISE_SECONDS:
            return
        self.raised_at[alias] = now
        if good := self.good.pop(alias, 0):
            cursor.execute(_RAISE, [good, alias])


def open_breaker(cursor: CursorWrapper, alias: str, words: str) -> None:
    """Nothing but probes is sent to an account any more, for what ``words`` say; no change where it is open already."""
    cursor.execute(_OPEN, [alias, clean(words), SHORTEST_SECONDS])


def answered(cursor: CursorWrapper, alias: str, seconds: float) -> None:
    """A call of so many seconds was answered as it should be: a breaker that opened before it closes."""
    cursor.execute(_CLOSE, [alias, seconds])


_OPEN = """
    INSERT INTO batches_provideraccount (alias, opened_at, opened_for, probe_at, reason, changed_at)
    VALUES (%s, clock_timestamp(), %s, clock_timestamp() + %s * interval '1 second', '', clock_timestamp())
    ON CONFLICT (alias) DO UPDATE
       SET opened_at = EXCLUDED.opened_at, opened_for = EXCLUDED.opened_for, probe_at = EXCLUDED.probe_at,
           changed_at = EXCLUDED.changed_at
     WHERE batches_provideraccount.opened_at IS NULL
"""
BEFORE_SECONDS = 2.0
"""Between an answer and its commit; no probe is made so soon after a breaker opened."""
# The answer to a call that was made before says nothing. It reopens as after a 429: by a slow start.
_CLOSE = f"""
    UPDATE batches_provideraccount
       SET opened_at = NULL, opened_for = '', probe_at = NULL, changed_at = clock_timestamp(),
           closed_until = GREATEST(closed_until, clock_timestamp())
     WHERE alias = %s AND opened_at < clock_timestamp() - (%s + {BEFORE_SECONDS}) * interval '1 second'
"""
_CLOSE_UNTIL = """
    INSERT INTO batches_provideraccount (alias, closed_until, reason, changed_at)
    VALUES (%s, clock_timestamp() + %s * interval '1 second', '429 with Retry-After', clock_timestamp())
    ON CONFLICT (alias) DO UPDATE
       SET closed_until = GREATEST(batches_provideraccount.closed_until, EXCLUDED.closed_until),
           reason = EXCLUDED.reason, changed_at = EXCLUDED.changed_at
"""
_CUT = f"""
    INSERT INTO batches_provideraccount AS account (alias, reason, concurrency, cut_at, changed_at)
    SELECT %(alias)s, '', GREATEST(1, {CUT} * in_flight), clock_timestamp(), clock_timestamp()
      FROM (SELECT COALESCE(sum(remaining), 0) AS in_flight FROM batches_lease
             WHERE provider = %(alias)s AND worker <> '' AND lane <> '{ECONOMY_LANE}') AS lease
    ON CONFLICT (alias) DO UPDATE
       SET concurrency = GREATEST(1, LEAST({CUT} * account.concurrency, EXCLUDED.concurrency)),
           cut_at = EXCLUDED.cut_at, changed_at = EXCLUDED.changed_at
     WHERE account.cut_at IS NULL OR account.cut_at < clock_timestamp() - %(seconds)s * interval '1 second'
"""
_RAISE = f"""
    UPDATE batches_provideraccount
       SET concurrency = CASE WHEN cut_at < clock_timestamp() - interval '{FORGOTTEN_SECONDS} seconds' THEN NULL
                              ELSE concurrency + %s * GREATEST(1 / concurrency, {RAISE_SHARE}) END
     WHERE alias = %s AND concurrency IS NOT NULL AND cut_at < clock_timestamp() - interval '{CUT_SECONDS} seconds'
"""
