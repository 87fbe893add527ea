"""Items that go to another provider than their batch: claimed apart, under the limits of the account they go to.

A worker wrote where each goes next (:mod:`batches.running.elsewhere`). Where that account takes no calls for a while,
or is not among the batch's fallbacks any more, they go on from there, or with their batch again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db import connection

from batches.dispatching import claim
from batches.dispatching.allotment import Allotment
from batches.dispatching.window import Runnable, Window
from batches.provider_accounts.account_states import PATIENCE_SECONDS
from batches.provider_accounts.accounts import chain_of
from batches.states import WhenUnavailable

MOVED_AT_ONCE = 5_000

# From one place to the next within the index, however many items wait at each.
_PLACES = """
    WITH RECURSIVE place AS (
        (SELECT batch_id, detour FROM batches_item WHERE status = 'pending' AND detour <> ''
          ORDER BY batch_id, detour LIMIT 1)
        UNION ALL
        SELECT following.batch_id, following.detour FROM place CROSS JOIN LATERAL (
            SELECT item.batch_id, item.detour FROM batches_item AS item
             WHERE item.status = 'pending' AND item.detour <> ''
               AND (item.batch_id, item.detour) > (place.batch_id, place.detour)
             ORDER BY item.batch_id, item.detour LIMIT 1
        ) AS following
    )
    SELECT batch_id, detour FROM place
"""
_MOVE = """
    WITH chosen AS (
        SELECT id FROM batches_item
         WHERE batch_id = %s AND status = 'pending' AND detour = %s AND detour <> '' AND (%s OR refused_by IS NULL)
         ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE batches_item AS item SET detour = %s FROM chosen WHERE item.id = chosen.id
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Items of one batch that go to one of its fallbacks. ``chain``: to whom its items may go."""

    batch: Runnable
    alias: str
    chain: Sequence[str]


class Elsewhere:
    """Claims them. ``allotment``: the dispatcher's own, whose paces of limits are shared."""

    def __init__(self, allotment: Allotment) -> None:
        self._allotment = Allotment(beside=allotment)

    def claim(self, window: Window, now: float) -> tuple[tuple[int, str], ...]:
        """Lease what is due; returns (lease id, lane). Costs nothing while no batch may switch."""
        if all(batch.when_unavailable != WhenUnavailable.SWITCH for batch in window.batches):
            return ()
        open_places = []
        for place in _places(window):
            alias = _goes_to(place, window)
            if alias == place.alias:
                open_places.append(place)
            elif alias is not None:
                _move(place, alias)
        routed = tuple(replace(place.batch, provider=place.alias) for place in _one_each(open_places))
        here = replace(window, batches=routed)
        shares, routes = self._allotment.shares(here, now)
        if not shares:
            return ()
        claimed = claim.claim(shares, routes, detoured=True)
        self._allotment.took(here, shares, claimed.taken, now)
        return claimed.leases


def _places(window: Window) -> list[Place]:
    batches = {batch.id: batch for batch in window.batches}
    with connection.cursor() as cursor:
        cursor.execute(_PLACES)
        rows = [(batches[batch_id], alias) for batch_id, alias in cursor.fetchall() if batch_id in batches]
    return [Place(batch, alias, chain_of(batch.provider, batch.fallbacks)) for batch, alias in rows]


def _goes_to(place: Place, window: Window) -> str | None:
    """Where its items go now: on to their place, or to another, empty for where their batch goes; None: they wait."""
    if place.alias not in place.chain:
        return ""
    own = place.chain[0]
    following = place.chain[place.chain.index(place.alias) + 1 :]
    for alias in (place.alias, *following, own):
        if not window.state(alias).is_unavailable(PATIENCE_SECONDS):
            return "" if alias == own else alias
    return None


def _move(place: Place, alias: str) -> None:
    """Who was refused for good somewhere waits for those that are left, unless nobody goes to that place any more."""
    everybody = place.alias not in place.chain
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [place.batch.id, place.alias, everybody, MOVED_AT_ONCE, alias])


def _one_each(places: Sequence[Place]) -> Iterator[Place]:
    """One of each batch, at random: what a batch may have under way is reckoned for one claim."""
    by_batch: dict[int, list[Place]] = {}
    for place in places:
        by_batch.setdefault(place.batch.id, []).append(place)
    return (random.choice(each) for each in by_batch.values())  # noqa: S311 - no secret
