"""One call at a time to a provider whose breaker is open, to find out whether it works again.

A probe is an ordinary due item of a batch that waits for that provider, leased by itself. Its answer closes the breaker
or does not (:mod:`batches.running.account_statements`); the item itself loses nothing.
"""

from __future__ import annotations

import random

from django.db import connection, transaction

from batches.dispatching import claim
from batches.dispatching.claim import Route
from batches.dispatching.window import Window
from batches.provider_accounts.accounts import known_provider
from batches.states import lane_name

SHORTEST_SECONDS = 15
LONGEST_SECONDS = 300
BATCHES_LOOKED_AT = 10
"""At random, of those that wait: most have something due, and the next look comes within a moment."""

_DUE = """
    SELECT account.alias FROM batches_provideraccount AS account
     WHERE account.opened_at IS NOT NULL AND COALESCE(account.probe_at, now()) <= now()
       AND COALESCE(account.closed_until, now()) <= now()
       AND NOT EXISTS (SELECT 1 FROM batches_lease AS lease WHERE lease.provider = account.alias AND lease.probe)
     ORDER BY account.alias
"""
# As long as it has been open already: each wait doubles the time before the next one.
_NEXT = f"""
    UPDATE batches_provideraccount
       SET probe_at = now() + LEAST(GREATEST(now() - opened_at, interval '{SHORTEST_SECONDS} seconds'),
                                    interval '{LONGEST_SECONDS} seconds')
     WHERE alias = %s
"""


def claim_probes(window: Window) -> tuple[tuple[int, str], ...]:
    """Lease an item for each account whose probe is due; returns (lease id, lane)."""
    if not any(state.is_open and (state.probe_in or 0.0) <= 0 for state in window.states.values()):
        return ()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DUE)
        due = [row[0] for row in cursor.fetchall()]
        return tuple(lease for alias in due for lease in _probe(window, alias))


def _probe(window: Window, alias: str) -> tuple[tuple[int, str], ...]:
    """The first due item of any batch of this provider; nothing where none is due, or it cannot be called here."""
    if known_provider(alias) is None:
        return ()
    waiting = [one for one in window.batches if one.provider == alias and window.affordable.get(one.id, 1) > 0]
    for batch in random.sample(waiting, min(len(waiting), BATCHES_LOOKED_AT)):
        lane = lane_name(batch.channel, batch.priority)
        route = Route(lane, batch.channel, alias, 1, batch.least_attempts, probe=True)
        claimed = claim.claim({batch.id: 1}, {batch.id: route})
        if claimed.leases:
            was_made(alias)
            return claimed.leases
    return ()


def was_made(alias: str) -> None:
    """A probe is on its way: the next one is due later."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [alias])
