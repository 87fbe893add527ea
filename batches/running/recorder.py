"""Group commit: what attempts returned, written many at a time, each write guarded by its lease.

One recorder per worker process. Items, errors, counters, histograms, leases and closed accounts of a group change in
one transaction, so the counters are exact whatever dies. Locks are taken in one order everywhere: items by id, then
batches by id, then leases by id. It never touches Redis.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import gevent
from django.db import Error, InterfaceError, InternalError, OperationalError, connection, transaction
from gevent.event import Event
from gevent.queue import Queue

from batches.progress import BatchFacts
from batches.running import record_statements as statements
from batches.running.account_statements import Accounts
from batches.running.changes import UNSTORABLE, Change, status_of_bug

logger = logging.getLogger(__name__)

GROUP_SECONDS = 0.05
GROUP_SIZE = 400
GROUP_CHARACTERS = 16 * 1024 * 1024
"""Of results in one group: Postgres takes no parameter of a gigabyte."""
RETRY_SECONDS = 0.5
LIMIT_EXCEEDED = "54"
"""The class of SQLSTATEs for a document too large or too deep: a fault of the data, though not called one."""


class Recorder:
    """Takes changes from any greenlet and commits them in groups."""

    def __init__(
        self, on_recorded: Callable[[BatchFacts], None], on_written: Callable[[Sequence[Change]], None]
    ) -> None:
        self._queue: Queue[Change] = Queue()
        self._on_recorded = on_recorded
        self._on_written = on_written
        self._idle = Event()
        self._idle.set()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to record."""
        self._greenlet = gevent.spawn(self._run)

    def put(self, change: Change) -> None:
        """Hand over what to write; returns at once."""
        self._idle.clear()
        self._queue.put(change)

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until everything handed over is committed; False when the time was not enough."""
        return bool(self._idle.wait(timeout_seconds))

    def stop(self) -> None:
        """Stop recording; call :meth:`drain` before."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            group = self._gather()
            self._commit_until_done(group)
            self._on_written(group)
            if self._queue.empty():
                self._idle.set()

    def _gather(self) -> list[Change]:
        """What comes within a moment of the first; what does not fit goes with the next group, at once."""
        group = [self._queue.get()]
        if self._queue.qsize() < GROUP_SIZE:
            gevent.sleep(GROUP_SECONDS)
        characters = len(group[0].result or "")
        while len(group) < GROUP_SIZE and characters < GROUP_CHARACTERS and not self._queue.empty():
            group.append(self._queue.get_nowait())
            characters += len(group[-1].result or "")
        return group

    def _commit_until_done(self, group: Sequence[Change]) -> None:
        """The outcomes wait here until the database is back. Nothing may end this loop: everything waits behind it.

        A group that was written in part is tried as a whole: what was written lost its lease with that.
        """
        while True:
            try:
                commit(group, self._on_recorded)
            except Exception as error:
                logger.warning("Recording %d outcomes waits for the database: %s", len(group), type(error).__name__)
                with suppress(Error):
                    connection.close()
                gevent.sleep(RETRY_SECONDS)
            else:
                return


def commit(group: Sequence[Change], tell: Callable[[BatchFacts], None]) -> None:
    """Write the group; on a data error halve it until the culprit stands alone, and fail only that one."""
    try:
        facts = write(group)
    except Exception as error:
        if is_fault_of_database(error):
            raise
        if len(group) > 1:
            middle = len(group) // 2
            commit(group[:middle], tell)
            commit(group[middle:], tell)
            return
        logger.error("Item %d: the database refused its outcome: %s", group[0].item_id, type(error).__name__)
        facts = write([unstorable(group[0])])
    for fact in facts:
        tell(fact)


def is_fault_of_database(error: Exception) -> bool:
    """Whether another moment may help; anything else is blamed on what was to be written."""
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", "")).startswith(LIMIT_EXCEEDED)


def unstorable(change: Change) -> Change:
    """The same attempt, recorded as failed because its outcome cannot be stored."""
    return replace(
        change,
        status=status_of_bug(change.idempotent),
        delay_seconds=0.0,
        result=None,
        quality=None,
        provider_reference="",
        duration_ms=None,
        fault=UNSTORABLE,
        closes_account_seconds=0.0,
        opens_account="",
    )


accounts = Accounts()


def write(group: Sequence[Change]) -> list[BatchFacts]:
    """Commit one group and return the facts of every batch whose counters changed."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            applied, refused = statements.write_items(cursor, group)
            healed, settled = statements.settle_unknown(cursor, refused)
            facts = statements.count(cursor, applied, healed, settled)
            statements.write_errors(cursor, applied)
            statements.write_histograms(cursor, applied, healed, settled)
            accounts.write(cursor, group)
            statements.shrink_leases(cursor, applied)
    finally:
        connection.close()
    return facts
