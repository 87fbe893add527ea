"""``manage.py accounts``: what is known of the provider accounts, and letting one take calls again at once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from batches.models import ProviderAccount
from batches.provider_accounts.breakers import close_breaker


class Command(BaseCommand):
    """One line per account that was called or said something."""

    help = "List the provider accounts: whether they take calls, and what was learned of their limits."

    def add_arguments(self, parser: CommandParser) -> None:
        """The account that is to take calls again."""
        parser.add_argument(
            "--close-breaker",
            metavar="ALIAS",
            help="Let this account take calls again now, instead of waiting for a probe: its key or bill was mended.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """List them, or close one's breaker."""
        alias = options["close_breaker"]
        if alias is None:
            for account in ProviderAccount.objects.all():
                self.stdout.write(line_of(account))
        elif close_breaker(alias, actor_id=None):
            self.stdout.write(f"{alias} takes calls again.")
        elif ProviderAccount.objects.filter(pk=alias).exists():
            self.stdout.write(f"{alias} was not shut.")
        else:
            raise CommandError(f"Nothing is known of an account {alias!r}.")


def line_of(account: ProviderAccount) -> str:
    """Its state and its limits, in words."""
    words = ["takes calls"]
    if account.opened_at is not None:
        words = [f"unavailable: {account.opened_for} since {account.opened_at:%Y-%m-%d %H:%M:%S} UTC"]
        if account.probe_at is not None:
            words.append(f"tried again at {account.probe_at:%H:%M:%S}")
    elif account.closed_until is not None:
        words.append(f"last closed until {account.closed_until:%Y-%m-%d %H:%M:%S} UTC")
    learned = (
        ("calls in flight", account.concurrency),
        ("requests a minute", account.requests_per_minute),
        ("tokens a minute", account.tokens_per_minute),
        ("tokens a call", account.tokens_per_call),
    )
    words += [f"{number:,.0f} {what}" for what, number in learned if number is not None]
    return f"{account.alias}: {'; '.join(words)}"
