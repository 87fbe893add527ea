"""A provider did not take a batch as a whole: it waits for another moment, or its lines have failed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from batches.economy.claims import Work, objection
from batches.economy.held_items import dissolve, held_pages
from batches.economy.recording import change_in_economy, record
from batches.economy.switching import goes_elsewhere, note_refusal
from batches.economy.waits import until_room
from batches.models.provider_batch import new_marker
from batches.outcomes import Fault, Rejected
from batches.running.context import BatchContext
from batches.states import Step, WhenUnavailable
from providers.base import ErrorCategory, ProviderError, RemoteBatch

OF_THE_ACCOUNT = frozenset({ErrorCategory.AUTHENTICATION, ErrorCategory.BUDGET, ErrorCategory.NOT_FOUND})
"""A wrong key, no credit, no such endpoint: true of every item alike, and mended by a person, not by giving up."""

REFUSED_ITEMS = "refused_items"


def waits(work: Work, error: ProviderError) -> bool:
    """Whether the batch may be taken later as it is. Who asked to fail while the account is unavailable does not
    wait for it."""
    if not error.permanent:
        return True
    return error.category in OF_THE_ACCOUNT and work.row.batch.when_unavailable != WhenUnavailable.FAIL


def refused(work: Work, context: BatchContext, error: ProviderError, remote: RemoteBatch | None = None) -> None:
    """No line was run. ``remote``: the batch that failed at the provider, where there is one.

    Then the marker is spent: a search must not find the failed one in place of the next.
    """
    failures, wait = work.row.failures + 1, 0.0
    if waits(work, error):
        note_refusal(work.row, error, failures)
        if goes_elsewhere(work.row):
            dissolve(work)
            return
        wait = until_room(failures, error.retry_after)
    else:
        _reject(work, context, error, remote)
    anew = {} if remote is None else {"marker": new_marker(), "remote_id": "", "remote": {}}
    work.put_off(wait, step=Step.GATHERED, failures=failures, deaths=0, **objection(error), **anew)


def _reject(work: Work, context: BatchContext, error: ProviderError, remote: RemoteBatch | None) -> None:
    """Fail the items whose lines were named, or all where none was; the others are asked again."""
    codes = _codes_by_item(work, remote)
    for page in held_pages(work.row.lease_id):
        work.check()
        failed = [item for item in page if not codes or item.id in codes]
        faults = [Fault(error.category, codes.get(item.id, error.code), error.message) for item in failed]
        record(
            [
                change_in_economy(Rejected(fault), work.row, context, item)
                for item, fault in zip(failed, faults, strict=True)
            ]
        )


def _codes_by_item(work: Work, remote: RemoteBatch | None) -> dict[int, str]:
    """Codes of the items whose lines the provider named by their number.

    Committed before the first of them is recorded: then it leaves the lease, and the numbers do not fit any more.
    """
    if REFUSED_ITEMS not in work.row.remote:
        named = (remote.detail if remote else {}).get("refused_lines") or {}
        numbered = zip(_item_ids(work), count(1), strict=False)
        codes = {item_id: str(named[str(number)]) for item_id, number in numbered if str(number) in named}
        work.move(remote={**work.row.remote, REFUSED_ITEMS: codes})
    return {int(item_id): code for item_id, code in work.row.remote[REFUSED_ITEMS].items()}


def _item_ids(work: Work) -> Iterator[int]:
    for page in held_pages(work.row.lease_id):
        yield from (item.id for item in page)
