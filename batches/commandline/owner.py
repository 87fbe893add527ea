"""Whose batch it is when somebody works on the command line."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from batches.provider_accounts.credentials import look_again

DEMO_USER = "demo"
MOST_NAMED = 20


def find_owner(username: str | None) -> User:
    """The user of that name; without one the demo user, or the only user there is. Keys that were entered count too."""
    look_again()
    users = User.objects.filter(is_active=True)
    if username:
        user = users.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no active user {username!r}. {_known()}")
        return user
    candidates = list(users.filter(username=DEMO_USER)) or list(users[:2])
    if len(candidates) != 1:
        raise CommandError(f"Say whose batch it is: --user NAME. {_known()}")
    return candidates[0]


def _known() -> str:
    users = User.objects.filter(is_active=True).order_by("username")
    names = list(users.values_list("username", flat=True)[: MOST_NAMED + 1])
    if not names:
        return "There are no users yet: manage.py create_demo or manage.py createsuperuser makes one."
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"There are: {', '.join(names[:MOST_NAMED])}{more}."
