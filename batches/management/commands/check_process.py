"""``manage.py check_process``: whether a process of the engine on this machine lives and works, for health checks."""

from __future__ import annotations

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.db.models.functions import Now

from batches.dispatching.concerns import WORKER_IDLE, current_concerns
from batches.models import Worker, WorkerRole
from batches.models.engine import SEEN_WITHIN


class Command(BaseCommand):
    """Exit code 0: it was seen within ten seconds, and the dispatcher has no concern about it."""

    help = "Check a worker or dispatcher of this machine by what the database knows of it. Exit code 0 or 1."

    def add_arguments(self, parser: CommandParser) -> None:
        """The role, and which process of several."""
        parser.add_argument("role", choices=WorkerRole.values)
        parser.add_argument("--process-id", type=int, help="this one, where the machine runs several")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is wrong, if anything."""
        wanted = Worker.objects.filter(role=options["role"], hostname=socket.gethostname())
        if options["process_id"] is not None:
            wanted = wanted.filter(process_id=options["process_id"])
        try:
            seen = set(wanted.filter(seen_at__gte=Now() - SEEN_WITHIN).values_list("pk", flat=True))
            idle = [each for each in current_concerns() if each.kind == WORKER_IDLE and each.subject in seen]
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {type(error).__name__}") from None
        if not seen:
            raise CommandError(f"No {options['role']} of this machine was seen in the last 10 seconds.")
        if idle:
            raise CommandError(idle[0].words)
        self.stdout.write("ok")
