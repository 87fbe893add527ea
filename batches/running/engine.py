"""The engine of one worker process: its parts, started and stopped in order."""

from __future__ import annotations

import logging
import secrets
import socket
from collections import Counter
from collections.abc import Sequence

from django.conf import settings
from django.db import Error, connection

from batches.garbage import look_seldom
from batches.progress import BatchFacts, publisher
from batches.running import context
from batches.running.changes import Change
from batches.running.learning import Learning
from batches.running.progress_watch import ProgressWatch
from batches.running.recorder import Recorder
from batches.running.runner import Runner
from batches.running.tally import Tally
from batches.running.watch import Watch, farewell
from batches.states import BatchStatus

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 10.0


class Engine:
    """Watch, runner and recorder of this process; ``boot_id`` names this one boot of it."""

    def __init__(self) -> None:
        self.boot_id = f"{socket.gethostname()[:40]}-{secrets.token_hex(8)}"
        self.watch = Watch(self.boot_id)
        self.recorder = Recorder(self._recorded, self._written)
        self.runner = Runner(self.boot_id, self.watch, self._record)
        self.learning = Learning(self.runner.usage)
        self.tally = Tally()
        self.progress = ProgressWatch(self.watch, self.runner, self.stop, self.tally)

    def start(self) -> None:
        """Begin to accept leases."""
        context.prepare()
        look_seldom()
        self.recorder.start()
        self.watch.start()
        self.learning.start()
        logger.info("Engine %s started", self.boot_id)

    def run_lease(self, lease_id: int) -> None:
        """Accept a lease and start its items; returns when the last of them has started."""
        self.progress.messages += 1
        try:
            self.runner.run_lease(lease_id)
        finally:
            self.progress.messages -= 1

    def ask_to_stop(self) -> None:
        """Start no further call; safe to call from a signal handler."""
        self.runner.stopping.set()

    def stop(self) -> None:
        """Release what has not started, wait for calls in flight, commit every outcome, say goodbye."""
        self.ask_to_stop()
        self.runner.drain(settings.WORKER_DRAIN_SECONDS)
        if not self.recorder.drain(FLUSH_SECONDS):
            logger.error("Stopped with outcomes that the database did not take; their leases will expire")
        self.recorder.stop()
        self.progress.stop()
        self.learning.stop()
        self.watch.stop()
        try:
            farewell(self.boot_id)
        except Error:
            logger.warning("The worker's row stays behind: the database did not answer")
        finally:
            connection.close()
        publisher.flush()
        logger.info("Engine %s stopped", self.boot_id)

    def _record(self, change: Change) -> None:
        self.watch.has_outcome(change.lease_id)
        self.recorder.put(change)

    def _recorded(self, facts: BatchFacts) -> None:
        if facts.status == BatchStatus.PAUSED:
            self.watch.stop_batch(facts.pk)
        publisher.announce("progress", facts)

    def _written(self, group: Sequence[Change]) -> None:
        self.tally.add(group)
        self.watch.recorded(Counter(change.lease_id for change in group))
        self.watch.in_flight = self.runner.in_flight


_engine: Engine | None = None


def engine() -> Engine:
    """This process's engine, made at the first call."""
    global _engine  # noqa: PLW0603 - one per process by design
    if _engine is None:
        _engine = Engine()
    return _engine
