"""``manage.py create_demo``: the user and key that a first run needs. Not for production."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models.functions import Now

from batches.commandline.owner import DEMO_USER
from batches.models import ApiKey

KEY_NAME = "demo"


class Command(BaseCommand):
    """Run twice with the same environment, it changes nothing the second time."""

    help = "Create the user 'demo' with the API key DEMO_API_KEY and the password DEMO_PASSWORD (default: that key)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing, revoke older demo keys."""
        if settings.PRODUCTION:
            raise CommandError("A user whose key stands in the environment is not for production.")
        secret = os.environ.get("DEMO_API_KEY", "")
        if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise CommandError("Set DEMO_API_KEY: printable ASCII characters, no spaces.")
        with transaction.atomic():
            user, user_is_new = User.objects.get_or_create(
                username=DEMO_USER, defaults={"is_staff": True, "is_superuser": True}
            )
            key_is_new = give_key(user, secret)
            set_password(user, secret, always=user_is_new or key_is_new)
        self.stdout.write(f"User {DEMO_USER!r} is {'new' if user_is_new else 'there'}.")
        self.stdout.write(f"Its API key, DEMO_API_KEY, is {'new' if key_is_new else 'there'}.")
        self.stdout.write(f"Its password is {'DEMO_PASSWORD' if os.environ.get('DEMO_PASSWORD') else 'the API key'}.")


def give_key(user: User, secret: str) -> bool:
    """Whether the key is new to the user; other demo keys of theirs are revoked."""
    digest = ApiKey.digest_of(secret)
    key = ApiKey.objects.filter(digest=digest).first()
    if key is not None and key.owner_id != user.pk:
        raise CommandError("DEMO_API_KEY is the key of another user.")
    others = ApiKey.objects.filter(owner=user, name=KEY_NAME, revoked_at=None).exclude(digest=digest)
    others.update(revoked_at=Now())
    if key is None:
        ApiKey.issue(owner_id=user.pk, name=KEY_NAME, secret=secret)
        return True
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=False).update(revoked_at=None))


def set_password(user: User, secret: str, *, always: bool) -> None:
    """DEMO_PASSWORD; without it the API key, so that nothing secret needs to be printed."""
    given = os.environ.get("DEMO_PASSWORD", "")
    password = given or secret
    if (always or given) and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
