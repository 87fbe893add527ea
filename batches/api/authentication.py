"""``Authorization: Bearer <key>``."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from batches.models import ApiKey

USE_NOTED_EVERY = timedelta(minutes=1)


class BearerAuthentication(BaseAuthentication):
    """API keys. First in the list, so that a request without any proof is answered 401 and not 403."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        """The key's owner; None where another scheme, or none, was used."""
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        key = find_key(secret.strip().decode("latin-1"))
        if key is None:
            raise AuthenticationFailed("The API key is not valid.")
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        """What makes the answer a 401."""
        return 'Bearer realm="api"'


def find_key(secret: str) -> ApiKey | None:
    """The living key of this secret, its use noted at most once a minute."""
    key = (
        ApiKey.objects.select_related("owner")
        .filter(digest=ApiKey.digest_of(secret), revoked_at__isnull=True, owner__is_active=True)
        .first()
    )
    if key is not None:
        _note_use(key)
    return key


def _note_use(key: ApiKey) -> None:
    stale = timezone.now() - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at < stale:
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=stale)
        ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=Now())
