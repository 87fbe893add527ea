"""Running an operation on an item with the answers that are known: to its outcome, or to its next question."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import gevent
from django.db import InterfaceError, OperationalError, connection

from batches.economy.questions import digest_of
from batches.operations.base import Asked, Attempt
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, outcome_of_error
from batches.running.context import BatchContext
from batches.running.leases import LeasedItem
from batches.running.runner import DEADLINE_GRACE_SECONDS, NO_ANSWER, DeadlineExceeded
from providers.base import ChatAnswer, ChatRequest, ErrorCategory, ProviderError

logger = logging.getLogger(__name__)

LATER_SECONDS = 1.0


@dataclass(slots=True)
class KnownAnswers:
    """Answers by the digest of their question. ``given``: those that were asked for."""

    known: Mapping[str, ChatAnswer] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def to(self, request: ChatRequest) -> ChatAnswer:
        """See :class:`batches.operations.base.Answers`."""
        digest = digest_of(request)
        if digest not in self.known:
            raise Asked(request)
        self.given.add(digest)
        return self.known[digest]


@dataclass(frozen=True, slots=True)
class Said:
    """What came of it: an outcome, or the next question. ``used``: what the operation itself used on the way."""

    outcome: Outcome | None
    question: ChatRequest | None
    used: Counter[str]


def replay(context: BatchContext, item: LeasedItem, answers: KnownAnswers) -> Said:
    """Run the operation; nothing it raises comes through, and no connection of it stays."""
    used: Counter[str] = Counter()
    try:
        return Said(_run(context, item, answers, used), None, used)
    except Asked as asked:
        return Said(None, asked.request, used)
    except ProviderError as error:
        return Said(outcome_of_error(error, idempotent=context.provider.idempotent), None, used)
    except DeadlineExceeded:
        return Said(Retry(NO_ANSWER), None, used)
    except (Exception, SystemExit) as error:
        if context.operation.uses_database and isinstance(error, OperationalError | InterfaceError):
            return Said(Snooze(LATER_SECONDS), None, used)
        # The kind alone: exceptions of parsers may quote what they parsed.
        logger.error("Item %d: %s in operation %s", item.id, type(error).__name__, context.operation.name)
        return Said(Rejected(failed_with(error)), None, used)
    finally:
        if context.operation.uses_database and not connection.in_atomic_block:
            connection.close()


def failed_with(error: BaseException) -> Fault:
    """A bug of the operation, or of an adapter, around one item."""
    return Fault(ErrorCategory.INTERNAL, "operation_failed", f"The operation failed: {type(error).__name__}.")


def _run(context: BatchContext, item: LeasedItem, answers: KnownAnswers, used: Counter[str]) -> Outcome:
    attempt = Attempt(
        item_id=item.id,
        owner_id=context.owner_id,
        key=item.key,
        input=item.input,
        parameters=context.parameters,
        provider=context.provider,
        reference=str(uuid.uuid4()),
        timeout_seconds=context.timeout_seconds,
        used=used,
        answers=answers,
    )
    with gevent.Timeout(context.timeout_seconds + DEADLINE_GRACE_SECONDS, DeadlineExceeded):
        return context.operation.run(attempt)
