"""Keys of provider accounts that staff enters: encrypted in the database, and never shown again.

Encrypted with the first of the setting ``CREDENTIAL_KEYS``, decrypted with any of them, so that they can be changed one
after the other: put the new one first, :func:`rotate`, take the old one away. Every process looks every two seconds
whether something was entered; the next call is made with it.
"""

from __future__ import annotations

import logging
import time
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import Error, transaction
from django.db.models.functions import Now

from batches.models import AuditEntry, ProviderCredential
from batches.problems import InvalidInput, Problem
from providers.keys import Entered, replace_entered
from providers.registry import needed_account

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
LONGEST_SECRET = 1_000
LONGEST_ACCOUNT = 100
SHORTEST_SHOWN = 12
"""Of a shorter key its last four characters would be too much of it."""
NO_KEYS = (
    "CREDENTIAL_KEYS is not set, so keys cannot be kept in the database: set it, or set the key in the environment."
)


def store(alias: str, secret: str, *, account: str = "", actor_id: int | None) -> ProviderCredential:
    """Keep a key in place of the one there may be. Raises :class:`InvalidInput`."""
    secret, account = secret.strip(), account.strip()
    if problems := problems_of(alias, secret, account):
        raise InvalidInput(problems)
    with transaction.atomic():
        credential, _ = ProviderCredential.objects.update_or_create(
            alias=alias,
            defaults={
                "secret": _keeper(tuple(settings.CREDENTIAL_KEYS)).encrypt(secret.encode()),
                "last_four": secret[-4:] if len(secret) >= SHORTEST_SHOWN else "",
                "account": account,
                "changed_at": Now(),
            },
        )
        _record("set_credential", alias, actor_id)
    transaction.on_commit(look)
    return credential


def problems_of(alias: str, secret: str, account: str) -> list[Problem]:
    """Why such a key cannot be kept."""
    found = []
    if alias not in settings.PROVIDERS:
        known = ", ".join(settings.PROVIDERS)
        found.append(Problem("alias", f"Must be one of {known}.", "unknown_provider"))
    if not 0 < len(secret) <= LONGEST_SECRET or not secret.isascii() or not secret.isprintable():
        found.append(Problem("secret", f"Must be 1 to {LONGEST_SECRET} printable ASCII characters.", "invalid_text"))
    if len(account) > LONGEST_ACCOUNT or not account.isascii() or not account.isprintable():
        message = f"Must be at most {LONGEST_ACCOUNT} printable ASCII characters."
        found.append(Problem("account", message, "invalid_text"))
    if not account and (variable := needed_account(alias)):
        message = f"Name the account that the key belongs to, or set {variable}."
        found.append(Problem("account", message, "required"))
    if not settings.CREDENTIAL_KEYS:
        found.append(Problem("secret", NO_KEYS, "not_available"))
    return found


def forget(alias: str, *, actor_id: int | None) -> bool:
    """Remove an entered key; whether there was one."""
    with transaction.atomic():
        removed, _ = ProviderCredential.objects.filter(alias=alias).delete()
        if removed:
            _record("remove_credential", alias, actor_id)
    transaction.on_commit(look)
    return bool(removed)


def rotate() -> int:
    """Encrypt all keys with the first of ``CREDENTIAL_KEYS``; returns how many. What cannot be decrypted stays."""
    keeper = _keeper(tuple(settings.CREDENTIAL_KEYS))
    done = 0
    with transaction.atomic():
        for credential in ProviderCredential.objects.select_for_update().order_by("alias"):
            try:
                credential.secret = keeper.rotate(bytes(credential.secret))
            except InvalidToken:
                logger.error("The key of %s cannot be decrypted with any of CREDENTIAL_KEYS", credential.alias)
                continue
            credential.save(update_fields=["secret"])
            done += 1
        _record("rotate_credentials", "", None)
    return done


def _record(action: str, alias: str, actor_id: int | None) -> None:
    details = {"provider": alias} if alias else {}
    AuditEntry.objects.create(action=action, actor_id=actor_id, details=details)


# --- In each process --------------------------------------------------------------------------------


class _Look:
    """What this process saw last. ``deciphered``: by ciphertext, which is not decrypted twice."""

    def __init__(self) -> None:
        self.at = float("-inf")
        self.deciphered: dict[bytes, str | None] = {}


_last = _Look()


def look_again() -> None:
    """:func:`look`, if the last look is older than two seconds, and where anything can have been entered.

    A database that does not answer changes nothing.
    """
    now = time.monotonic()
    if not settings.CREDENTIAL_KEYS or now - _last.at < LOOK_SECONDS:
        return
    _last.at = now
    try:
        look()
    except Error as error:
        logger.warning("Entered keys cannot be looked up: %s", type(error).__name__)


def look() -> None:
    """Read what is entered, and tell the providers."""
    rows = _rows()
    known = _last.deciphered
    _last.deciphered = {secret: known[secret] if secret in known else _decipher(secret) for _, secret, _ in rows}
    _last.at = time.monotonic()
    replace_entered({alias: Entered(_last.deciphered[secret], account) for alias, secret, account in rows})


def _rows() -> list[tuple[str, bytes, str]]:
    rows = ProviderCredential.objects.values_list("alias", "secret", "account")
    return [(alias, bytes(secret), account) for alias, secret, account in rows]


def _decipher(secret: bytes) -> str | None:
    if not settings.CREDENTIAL_KEYS:
        return None
    try:
        return _keeper(tuple(settings.CREDENTIAL_KEYS)).decrypt(secret).decode()
    except InvalidToken:
        return None


@cache
def _keeper(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
