"""What the worker mends before it starts."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from celery import Celery

from batches.bootstep import GroupedEvents, QuickGoodbye

SLEEPS = """
import celery
celery.maybe_patch_concurrency(["celery", "worker", "--pool", "gevent"])
import time
import kombu.utils.functional as functional
from batches.bootstep import let_everybody_sleep
let_everybody_sleep()
assert functional.sleep is time.sleep, functional.sleep
import gevent
ticks = []
ticker = gevent.spawn(lambda: [(ticks.append(1), gevent.sleep(0.01)) for _ in range(20)])
functional.sleep(0.5)
assert len(ticks) == 20, "a retry of kombu stopped the whole process"
"""


def test_a_retry_of_kombu_stops_only_its_own_greenlet() -> None:
    """Without Redis it would stop the renewal of leases, the recorder and the answer to SIGTERM as well."""
    subprocess.run([sys.executable, "-c", SLEEPS], check=True, timeout=60)


def test_events_wait_for_each_other_and_the_last_ones_are_sent_at_the_end() -> None:
    app = Celery(broker="memory://")
    with app.connection_for_write() as connection:
        queue = app.events.Receiver(connection).queue(connection.default_channel)
        queue.declare()
        consumer = SimpleNamespace(event_dispatcher=app.events.Dispatcher(connection, hostname="worker"))
        step = GroupedEvents(consumer)
        step.start(consumer)
        for number in range(5):
            consumer.event_dispatcher.send("task-received", uuid=str(number))
        step.stop(consumer)
        assert queue.get() is None
        step.shutdown(consumer)
        message = queue.get()
        assert message is not None
        assert [event["uuid"] for event in message.payload] == ["0", "1", "2", "3", "4"]


def test_the_consumer_asks_often_whether_it_shall_stop() -> None:
    """Celery's loop waits two seconds at a time, and once more after it was told to stop."""
    app = Celery(broker="memory://")
    with app.connection_for_read() as connection:
        connection.default_channel  # noqa: B018 - opens it
        QuickGoodbye(None).start(SimpleNamespace(connection=connection))
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=60.0)
        assert time.monotonic() - began < 20
