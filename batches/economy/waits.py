"""How long each thing waits: seconds, all of them scaled by the setting ``ECONOMY_TEMPO``."""

from __future__ import annotations

from django.conf import settings

CLAIM_SECONDS = 30.0
"""A worker that does not renew its claim for so long is taken for dead."""
RENEW_SECONDS = 8.0
MARGIN_SECONDS = 5.0
"""So long before its claim may be somebody else's a worker lets nothing leave any more."""
RING_AGAIN_SECONDS = 15.0
"""A provider batch that was rung for and that no worker claimed is rung for again after so long."""

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 2.0, 120.0
PART_OF_AGE = 0.1
"""A batch is looked at again after so much of the time that it has been there already."""
CANCELLING_SECONDS = 10.0
"""Between looks at one whose end was asked for: that takes minutes, and somebody waits for it."""
PAUSED_SECONDS = 5.0
"""Until a batch that does not run just now is looked at again; while it is paused nobody rings for it."""

FIRST_PATIENCE_SECONDS, LAST_PATIENCE_SECONDS = 10.0, 600.0
"""Between tries after something went wrong."""
FIRST_ROOM_SECONDS, LAST_ROOM_SECONDS = 30.0, 1800.0
"""Between tries of a batch that its provider does not take now: no room, no credit, no access."""

LOOK_FOR_SECONDS = 10.0
"""Between searches for a batch that may have been created, doubled each time."""
MOST_SEARCHES = 4
SECOND_READING_SECONDS = 15.0
COMPANY_SECONDS = 60.0
"""Fewer due items than a whole provider batch wait so long for others to come with them."""
LONGEST_ASKED_SECONDS = 3600.0
"""However long a provider asks us to wait: one odd header must not put a batch off for weeks."""
SNOOZED_ACCOUNT_SECONDS = 600.0
"""How long an item waits whose line was refused because of the account."""


def scaled(seconds: float) -> float:
    """A wait at the tempo that is set."""
    return seconds * float(settings.ECONOMY_TEMPO)


def until_next_look(age_seconds: float) -> float:
    """How long a batch that has been at its provider for so long is left alone: often at first, rarely later."""
    unscaled = age_seconds / float(settings.ECONOMY_TEMPO)
    return scaled(min(LAST_LOOK_SECONDS, max(FIRST_LOOK_SECONDS, unscaled * PART_OF_AGE)))


def after_failures(failures: int, retry_after: float | None = None) -> float:
    """How long until the next try after so many in a row went wrong; what the provider asked for is a minimum."""
    return max(_doubled(FIRST_PATIENCE_SECONDS, LAST_PATIENCE_SECONDS, failures), _asked(retry_after))


def until_room(refusals: int, retry_after: float | None = None) -> float:
    """How long until a batch that was not taken so many times is submitted again."""
    return max(_doubled(FIRST_ROOM_SECONDS, LAST_ROOM_SECONDS, refusals), _asked(retry_after))


def until_search(searches: int) -> float:
    """How long after so many searches a batch is searched for again."""
    return _doubled(LOOK_FOR_SECONDS, LAST_PATIENCE_SECONDS, searches)


def _asked(retry_after: float | None) -> float:
    return min(retry_after or 0.0, LONGEST_ASKED_SECONDS)


def _doubled(first: float, last: float, times: int) -> float:
    return scaled(min(last, first * 2.0 ** min(max(times - 1, 0), 16)))
