"""Ties the engine to the life of a Celery worker: started after the pool, stopped before it."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.signals import worker_shutting_down


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker and drains it at a warm shutdown."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Start the engine."""
        from batches.running.engine import engine

        engine().start()
        worker_shutting_down.connect(_ask_to_stop, weak=False)

    def stop(self, parent: Any) -> None:
        """Drain: by now the consumer takes no further message."""
        from batches.running.engine import engine

        engine().stop()

    def terminate(self, parent: Any) -> None:
        """A cold shutdown drains as well, bounded by the supervisor's patience."""
        self.stop(parent)


def _ask_to_stop(**_: Any) -> None:
    from batches.running.engine import engine

    engine().ask_to_stop()
