"""What the answers of this process say about their accounts: whether one refuses everybody, or is overloaded for long.

A wrong key or an empty purse is nobody's fault among the items: while it lasts they wait, and nothing of them is spent.
But an account must not stop for one item that its provider will not have, so it takes two such answers in a row,
without a good one between; of the kind that may mean the item (403), ten, and of several items.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from batches.outcomes import ACCOUNT_CATEGORIES, Fault, Outcome, Rejected, Snooze, Succeeded
from providers.base import ErrorCategory

TROUBLE_CATEGORIES = frozenset(
    {ErrorCategory.RATE_LIMIT, ErrorCategory.SERVER, ErrorCategory.TIMEOUT, ErrorCategory.NETWORK}
)
OF_THE_ACCOUNT = ACCOUNT_CATEGORIES | TROUBLE_CATEGORIES
AMBIGUOUS_STATUS = 403
"""Sent for a key without a right as well as for an item that the provider does not want."""
CERTAIN_REFUSALS = 2
AMBIGUOUS_REFUSALS = 10
LONE_TRIES = 3
"""An item that is alone with such an answer is to blame itself after so many."""
TROUBLE_SECONDS = 60.0
TROUBLE_ANSWERS = 10
REFUSED_SECONDS = 2.0
"""An item waits so long before it may be tried again: behind others, which may be the better probe. While the breaker
is open it waits for that, or goes to a fallback."""
REMEMBERED_ITEMS = 10_000


@dataclass(slots=True)
class Record:
    """One account's answers lately. ``tries``: of items that were refused, how often, and how many good answers the
    account had given by then."""

    successes: int = 0
    refusals: int = 0
    refused: set[int] = field(default_factory=set)
    tries: dict[int, tuple[int, int]] = field(default_factory=dict)
    trouble_since: float | None = None
    trouble: int = 0

    def is_well(self) -> None:
        """A good answer, or one that is about its item alone."""
        self.successes += 1
        if self.refusals:
            self.refusals = 0
            self.refused.clear()
        self.trouble_since = None
        self.trouble = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of the item, and whether the account's breaker opens: for what, or empty."""

    outcome: Outcome
    fault: Fault | None = None
    """What was answered, where the item waits on account of it."""
    opens_for: str = ""


class AccountHealth:
    """The records of this process, by alias."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, Record] = {}

    def judge(self, alias: str, item_id: int, outcome: Outcome, *, waits: bool) -> Judgement | None:
        """Take note of an answer; None where it means what it says. ``waits``: whether the item waits for its account,
        as its batch says."""
        if not alias or isinstance(outcome, Snooze) or (isinstance(outcome, Rejected) and not outcome.attempted):
            return None
        record = self._records.get(alias)
        if record is None:
            record = self._records[alias] = Record()
        fault = None if isinstance(outcome, Succeeded) else getattr(outcome, "fault", None)
        if fault is None or fault.category not in OF_THE_ACCOUNT:
            if fault is None or fault.category != ErrorCategory.INTERNAL:
                record.is_well()
            return None
        if fault.category in TROUBLE_CATEGORIES:
            return Judgement(outcome, opens_for=self._in_trouble(record, fault))
        return self._refused(record, item_id, outcome, fault, waits=waits)

    def _in_trouble(self, record: Record, fault: Fault) -> str:
        now = self._clock()
        if record.trouble_since is None:
            record.trouble_since = now
        record.trouble += 1
        if record.trouble < TROUBLE_ANSWERS or now - record.trouble_since < TROUBLE_SECONDS:
            return ""
        record.trouble_since, record.trouble = None, 0
        return words_of("overload", fault)

    def _refused(self, record: Record, item_id: int, outcome: Outcome, fault: Fault, *, waits: bool) -> Judgement:
        certain = fault.category == ErrorCategory.BUDGET or fault.status != AMBIGUOUS_STATUS
        record.refusals += 1
        if len(record.refused) < AMBIGUOUS_REFUSALS:  # more tell no more
            record.refused.add(item_id)
        opens = record.refusals >= CERTAIN_REFUSALS
        if not certain:
            opens = record.refusals >= AMBIGUOUS_REFUSALS and len(record.refused) > 1
        opens_for = words_of(fault.category, fault) if opens else ""
        if not waits:
            return Judgement(outcome, opens_for=opens_for)
        tries, successes = record.tries.pop(item_id, (0, record.successes))
        alone = not certain and record.refused == {item_id} and tries + 1 >= LONE_TRIES
        if not opens and (alone or record.successes > successes):
            return Judgement(outcome)
        if len(record.tries) >= REMEMBERED_ITEMS:
            record.tries.clear()
        record.tries[item_id] = (tries + 1, record.successes)
        return Judgement(Snooze(REFUSED_SECONDS), fault, opens_for)


def words_of(kind: str, fault: Fault) -> str:
    """For people: what kind of trouble, and the provider's code for it."""
    return f"{kind} ({fault.code})"[:64]
