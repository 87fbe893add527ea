"""The settings of the fault tests, with which a worker breaks at a signal: the ways of being alive and stuck.

For the engine's processes in test_wedged.py. Nothing in the engine knows of it.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

import gevent
import gevent.monkey
from kombu.transport.redis import Transport

from tests.faults.settings import *  # noqa: F403


def deafen() -> None:
    """The consumer takes no message any more, though Redis answers: Celery over Redis did so after reconnects."""

    def hear_nothing(self: Any, connection: Any, timeout: float | None = None) -> None:
        time.sleep(timeout or 1.0)
        raise TimeoutError

    transport: Any = Transport
    transport.drain_events = hear_nothing


def stop_recording() -> None:
    """The recorder's greenlet is gone."""
    from batches.running.engine import engine

    engine().recorder.stop()


def stop_watching() -> None:
    """Nothing is renewed and nothing beats."""
    from batches.running.engine import engine

    engine().watch.stop()


def block() -> None:
    """The hub stands still: no greenlet runs, no signal is heard."""
    while True:
        gevent.monkey.get_original("time", "sleep")(1)


WEDGES = {
    "hears no message": (signal.SIGRTMIN, deafen),
    "records nothing": (signal.SIGRTMIN + 1, stop_recording),
    "renews nothing": (signal.SIGRTMIN + 2, stop_watching),
    "stands still": (signal.SIGRTMIN + 3, block),
}


def _wedge(number: int, frame: FrameType | None) -> None:
    for wanted, action in WEDGES.values():
        if number == wanted:
            # A greenlet of its own, as the faults of a running system happen in one; but the hub blocks itself.
            action() if action is block else gevent.spawn(action)


for _number, _ in WEDGES.values():
    signal.signal(_number, _wedge)
