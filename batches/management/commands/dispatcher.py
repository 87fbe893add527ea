"""``manage.py dispatcher``: the process that hands out work."""

from __future__ import annotations

import logging
import signal
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand, SystemCheckError

from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.publish import Publication
from batches.garbage import look_seldom
from batches.standstill import Alarm
from batchsite.celery import app

logger = logging.getLogger(__name__)

LEAST_STANDSTILL_SECONDS = 60.0
"""A round may take long: it rescues thousands of leases at a time."""


class Command(BaseCommand):
    """Runs a dispatcher until SIGTERM or Ctrl-C."""

    help = "Claims due items for the workers, rescues, starts, sweeps and settles. Any number may run; one works."

    requires_system_checks = ()  # made by itself, below: what they find belongs into the log

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the loop in the foreground."""
        check()
        alarm = Alarm(max(LEAST_STANDSTILL_SECONDS, settings.STANDSTILL_SECONDS))
        dispatcher = Dispatcher(Publication(app), beat=alarm.beat)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop())
        alarm.start()
        look_seldom()
        dispatcher.run()


def check() -> None:
    """What Django's checks find is logged; with an error among it the process does not start."""
    found = run_checks()
    for problem in found:
        words = f"{problem.msg} {problem.hint}" if problem.hint else problem.msg
        logger.log(problem.level, "%s: %s", problem.id, words)
    if any(problem.is_serious() for problem in found):
        raise SystemCheckError("The configuration is wrong; see the lines above.")
