"""A worker's engine in the process of the tests."""

from __future__ import annotations

from typing import Any

import gevent

from batches.models import Batch, Lease
from batches.running.engine import Engine
from tests.engine.conftest import until
from tests.engine.ledger import lease
from tests.engine.scripted import ONCE_ONLY

ONCE: dict[str, Any] = {"provider": ONCE_ONLY, "channel": "sms"}
"""Fields of a batch whose calls reach a person."""


def run(engine: Engine, batch: Batch, **options: Any) -> list[gevent.Greenlet[..., Any]]:
    """Lease the batch's due items and hand the leases to the worker, as Celery does."""
    return [gevent.spawn(engine.runner.run_lease, lease_id) for lease_id in lease(batch, **options)]


def finish(engine: Engine, batch: Batch, **options: Any) -> None:
    """Run what is due and wait until all of it is recorded."""
    run(engine, batch, **options)
    until(lambda: not Lease.objects.exists())
