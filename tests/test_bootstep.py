"""What the worker mends before it starts."""

from __future__ import annotations

import subprocess
import sys

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
