"""Ties the engine to the life of a Celery worker: started after the pool, stopped before it."""

from __future__ import annotations

import sys
import time
from typing import Any

import gevent.monkey
from celery import bootsteps
from celery.signals import worker_shutting_down

BORROWERS = frozenset({"kombu", "celery", "amqp", "vine", "redis", "billiard"})


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker and drains it at a warm shutdown."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Start the engine."""
        from batches.running.engine import engine

        let_everybody_sleep()
        engine().start()
        worker_shutting_down.connect(_ask_to_stop, weak=False)

    def stop(self, parent: Any) -> None:
        """Drain: by now the consumer takes no further message."""
        from batches.running.engine import engine

        engine().stop()

    def terminate(self, parent: Any) -> None:
        """A cold shutdown drains as well, bounded by the supervisor's patience."""
        self.stop(parent)


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
