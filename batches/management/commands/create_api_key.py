"""``manage.py create_api_key USERNAME``: a Bearer key, printed once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from batches.models import ApiKey
from batches.states import Scope


class Command(BaseCommand):
    """Prints the secret alone, so that a script can take it."""

    help = "Create an API key for a user and print its secret. It is shown this once and never again."

    def add_arguments(self, parser: CommandParser) -> None:
        """USERNAME, the key's name and scopes."""
        parser.add_argument("username", metavar="USERNAME")
        parser.add_argument(
            "--scope", choices=Scope.values, action="append", help="What it may do; given twice, both (default: all)."
        )
        parser.add_argument("--name", default="command line", help="What the key is for (default: %(default)s).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create it."""
        user = get_user_model().objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError("There is no user of that name.")
        if len(options["name"]) > 100:
            raise CommandError("A key's name has at most 100 characters.")
        _, secret = ApiKey.issue(owner_id=user.pk, name=options["name"], scopes=options["scope"])
        self.stdout.write(secret)
