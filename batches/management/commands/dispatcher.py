"""``manage.py dispatcher``: the process that hands out work."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.publish import Publication
from batches.garbage import look_seldom
from batches.standstill import Alarm
from batchsite.celery import app

LEAST_STANDSTILL_SECONDS = 60.0
"""A round may take long: it rescues thousands of leases at a time."""


class Command(BaseCommand):
    """Runs a dispatcher until SIGTERM or Ctrl-C."""

    help = "Claims due items for the workers, rescues, starts, sweeps and settles. Any number may run; one works."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the loop in the foreground."""
        alarm = Alarm(max(LEAST_STANDSTILL_SECONDS, settings.STANDSTILL_SECONDS))
        dispatcher = Dispatcher(Publication(app), beat=alarm.beat)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop())
        alarm.start()
        look_seldom()
        dispatcher.run()
