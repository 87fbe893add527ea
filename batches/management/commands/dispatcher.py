"""``manage.py dispatcher``: the process that hands out work."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.publish import Publication
from batchsite.celery import app


class Command(BaseCommand):
    """Runs a dispatcher until SIGTERM or Ctrl-C."""

    help = "Claims due items for the workers, rescues, starts, sweeps and settles. Any number may run; one works."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the loop in the foreground."""
        dispatcher = Dispatcher(Publication(app))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop())
        dispatcher.run()
