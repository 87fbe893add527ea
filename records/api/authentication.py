"""``X-API-Key: <key>``: how the memory service's clients send a key that is no token."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from batches.api.authentication import find_key
from batches.models import ApiKey


class ApiKeyHeaderAuthentication(BaseAuthentication):
    """The same keys as Bearer's, in a header of their own."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        """The key's owner; None without the header."""
        secret = request.headers.get("X-API-Key")
        if secret is None:
            return None
        key = find_key(secret.strip())
        if key is None:
            raise AuthenticationFailed("The API key is not valid.")
        return key.owner, key
