"""Passwords that cost nothing to hash."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """One round in place of a million. A web process of a test, with the usual hasher, understands it all the same."""

    iterations = 1
