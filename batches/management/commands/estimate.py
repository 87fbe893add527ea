"""``manage.py estimate BODY.json``: what a batch would do and cost, before it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from batches.api.estimates import estimate_shape
from batches.commandline.estimates import show_estimate
from batches.commandline.owner import find_owner
from batches.commandline.problems import refusal
from batches.commandline.screen import console_of
from batches.money.estimating.bodies import estimate_of
from batches.operations.documents import NotAnObject, read_object
from batches.problems import InvalidInput


class Command(BaseCommand):
    """Reads a create's body, stores nothing, calls nobody."""

    help = "Say what the body of any create would do and cost: items, calls, tokens, segments, cost, time, refusals."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which body, and whose batch it would be."""
        parser.add_argument("file", metavar="BODY.json", help="as it is sent to a create; - reads standard input")
        parser.add_argument("--user", metavar="NAME", help="whose batch it would be (default: demo, or the only user)")

    def handle(self, *args: Any, **options: Any) -> None:
        """From the body to the lines."""
        owner = find_owner(options["user"])
        try:
            content = sys.stdin.buffer.read() if options["file"] == "-" else Path(options["file"]).read_bytes()
            body = read_object(content)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except NotAnObject as error:
            raise CommandError(f"{options['file']}: {error}") from error
        except InvalidInput as refused:
            raise refusal(refused.problems) from refused
        try:
            found = estimate_of(owner.pk, body)
        except InvalidInput as refused:
            raise refusal(refused.problems, lambda path: path) from refused
        show_estimate(console_of(self.stdout), estimate_shape(found))
