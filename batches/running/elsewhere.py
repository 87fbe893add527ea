"""To another provider, item by item: where it is certain that nothing was sent, and another one may do better.

For providers whose calls reach a person, in batches that may switch. The chain is the batch's own provider and its
fallbacks, in order. An item goes down it, each provider once in a round; behind the last one it waits as after any
failure, and begins anew. Who refused it for good, as one without a route to its country does, is not asked again. It
fails where all of them did, or where its retries or its time are used up. Pure: where it goes next is a part of the
change that the recorder writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from batches.backoff import retry_delay
from batches.outcomes import Outcome, Rejected, Snooze
from batches.running.changes import Change, Held
from batches.states import ItemStatus
from providers.base import ErrorCategory


def elsewhere(
    change: Change,
    answer: Outcome,
    held: Held,
    chain: Sequence[str],
    is_available: Callable[[str], bool],
    *,
    elapsed_seconds: float = 0.0,
) -> Change:
    """What is written of an answered item, with where it goes next; ``change`` itself where that stays as it is.

    To go on in the chain is no retry, and spends none. ``is_available``: whether an account takes calls now.
    """
    fault, alias = change.fault, held.provider
    if fault is None or not fault.elsewhere or alias not in chain:
        return change
    if change.status not in {ItemStatus.PENDING, ItemStatus.FAILED}:
        return change
    for_good = isinstance(answer, Rejected)
    refused_by = held.item.refused_by
    if for_good and alias not in refused_by:
        refused_by = (*refused_by, alias)
    following = [each for each in chain[chain.index(alias) + 1 :] if each not in refused_by]
    ready = [each for each in following if is_available(each)]
    if ready or (for_good and following):
        return replace(_at_once(change), detour=[*ready, *following][0], refused_by=refused_by)
    left = [each for each in chain if each not in refused_by]
    if not left:
        return change
    change = replace(change, detour="" if left[0] == chain[0] else left[0], refused_by=refused_by)
    if isinstance(answer, Snooze):
        return change
    policy, failures = held.policy, held.item.failures + change.failures
    if for_good:  # those that are left have spent no retry by that
        policy, failures = replace(policy, max_retries=None), 0
    rounds = math.ceil((held.item.attempts + 1) / len(chain))
    delay = retry_delay(fault, policy, attempts=rounds, failures=failures, elapsed_seconds=elapsed_seconds)
    if delay is None:
        return change
    later = _at_once(change)
    waited_ms = later.waited_ms + (round(delay * 1000) if fault.category == ErrorCategory.RATE_LIMIT else 0)
    return replace(later, delay_seconds=delay, failures=0 if for_good else change.failures, waited_ms=waited_ms)


def _at_once(change: Change) -> Change:
    """Without the wait, which a limit would have been waited for."""
    waited_ms = change.waited_ms
    if change.fault is not None and change.fault.category == ErrorCategory.RATE_LIMIT:
        waited_ms -= round(change.delay_seconds * 1000)
    return replace(change, status=ItemStatus.PENDING, delay_seconds=0.0, failures=0, waited_ms=waited_ms)
