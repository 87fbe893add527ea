"""Ties the engine to the life of a Celery worker: started after the pool, stopped before it.

Beside it, what makes Celery a light carrier under gevent: its events travel in groups, greenlets remember no stacks.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import gevent
import gevent.monkey
from celery import bootsteps
from celery.signals import worker_shutting_down

EVENTS_SECONDS = 0.5
"""How long an event for Flower may wait for others to travel with."""
LISTEN_SECONDS = 0.5
"""How long the consumer waits for a message before it asks whether it shall stop."""
BORROWERS = frozenset({"kombu", "celery", "amqp", "vine", "redis", "billiard"})


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker and drains it at a warm shutdown."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Start the engine."""
        from batches.running.engine import engine

        let_everybody_sleep()
        # One greenlet per item, and the stack that spawned it interests nobody: it was an eighth of the worker's time.
        gevent.config.track_greenlet_tree = False
        engine().start()
        engine().progress.start()
        worker_shutting_down.connect(_ask_to_stop, weak=False)

    def stop(self, parent: Any) -> None:
        """Drain: by now the consumer takes no further message."""
        from batches.running.engine import engine

        engine().stop()

    def terminate(self, parent: Any) -> None:
        """A cold shutdown drains as well, bounded by the supervisor's patience."""
        self.stop(parent)


class GroupedEvents(bootsteps.StartStopStep):
    """Sends task events in groups. Celery does so by itself only where it runs an event loop, which gevent has not.

    One by one they were a tenth of the worker's time.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._flusher: gevent.Greenlet[..., None] | None = None

    def start(self, parent: Any) -> None:
        """Group the events of this connection from now on."""
        parent.event_dispatcher.buffer_group = frozenset({"task"})
        self._flusher = gevent.spawn(_flush_events, parent.event_dispatcher)

    def stop(self, parent: Any) -> None:
        """The connection ends; the next one has a dispatcher of its own."""
        if self._flusher is not None:
            self._flusher.kill()

    terminate = stop

    def shutdown(self, parent: Any) -> None:
        """The last events, or Flower would show their tasks as started for ever. Not with every lost connection:
        Redis may be frozen."""
        if parent.event_dispatcher is not None:
            parent.event_dispatcher.flush()


class QuickGoodbye(bootsteps.StartStopStep):
    """Has the consumer ask often whether it shall stop.

    Celery waits two seconds for a message before it does, and under gevent once more after it was told: an idle worker
    took five seconds to end, and some of the messages it took meanwhile only to give their leases back.
    """

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        """Of this connection; the next one is another."""
        drain_events = parent.connection.drain_events

        def drain_briefly(timeout: float | None = None, **options: Any) -> Any:
            brief = LISTEN_SECONDS if timeout is None else min(timeout, LISTEN_SECONDS)
            return drain_events(timeout=brief, **options)

        parent.connection.drain_events = drain_briefly


def _flush_events(dispatcher: Any) -> None:
    while True:
        gevent.sleep(EVENTS_SECONDS)
        dispatcher.flush(errors=False)


def let_everybody_sleep() -> None:
    """Give modules that took ``time.sleep`` before gevent patched it the patched one.

    Celery imports kombu while it patches, so kombu's retries slept for real: without Redis the whole process stood
    still for up to thirty seconds at a time, renewed no lease, recorded nothing and heard no signal.
    """
    if not gevent.monkey.is_module_patched("time"):
        return
    blocking = gevent.monkey.get_original("time", "sleep")
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("sleep") is blocking and module.__name__.partition(".")[0] in BORROWERS:
            vars(module)["sleep"] = time.sleep


def _ask_to_stop(**_: Any) -> None:
    from batches.running.engine import engine

    engine().ask_to_stop()
