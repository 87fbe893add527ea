"""``manage.py credentials``: keys of provider accounts that are kept in the database."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from batches.models import ProviderCredential
from batches.problems import InvalidInput
from batches.provider_accounts import credentials
from providers.keys import key_of
from providers.registry import provider_aliases


class Command(BaseCommand):
    """List, set, remove, and encrypt anew."""

    help = "Keys of provider accounts in the database. A key is read from standard input, never from the command line."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, and with which."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="which providers have a key, and from where")
        setting = verbs.add_parser("set", help="keep a key, in place of the one there may be")
        setting.add_argument("alias")
        setting.add_argument("--account", default="", help="the account's id, where the provider has one")
        removing = verbs.add_parser("remove", help="forget a key")
        removing.add_argument("alias")
        verbs.add_parser("rotate", help="encrypt all of them with the first of CREDENTIAL_KEYS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        getattr(self, f"_{options['verb']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        credentials.look()
        entered = {one.alias: one for one in ProviderCredential.objects.all()}
        for alias in provider_aliases():
            key, own = key_of(alias), entered.get(alias)
            shown = f" (entered: ...{own.last_four})" if own else ""
            self.stdout.write(f"{alias}: {key.origin if key else 'no key'}{shown}")

    def _set(self, options: dict[str, Any]) -> None:
        secret = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
        try:
            credentials.store(options["alias"], secret, account=options["account"], actor_id=None)
        except InvalidInput as refused:
            raise CommandError(" ".join(problem.message for problem in refused.problems)) from refused
        self.stdout.write(f"The key of {options['alias']} is kept. Workers use it within seconds.")

    def _remove(self, options: dict[str, Any]) -> None:
        if not credentials.forget(options["alias"], actor_id=None):
            raise CommandError(f"No key was entered for {options['alias']}.")
        self.stdout.write(f"The key of {options['alias']} is removed.")

    def _rotate(self, options: dict[str, Any]) -> None:
        total = ProviderCredential.objects.count()
        done = credentials.rotate()
        self.stdout.write(f"{done} of {total} keys are encrypted with the first of CREDENTIAL_KEYS.")
        if done < total:
            raise CommandError("The others need a key that CREDENTIAL_KEYS does not hold.")
