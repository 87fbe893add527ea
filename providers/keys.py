"""Keys of provider accounts: what the environment says, or else what staff entered.

The environment wins: who runs the processes can always say what is used. What staff entered is kept in the database,
which this package knows nothing of: :func:`replace_entered` is told, and tells the registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.conf import settings


class Origin(StrEnum):
    """Where a key comes from."""

    ENVIRONMENT = "environment"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Key:
    """A key. ``account``: the id beside it, where it was entered with one; the entry's own otherwise."""

    secret: str = field(repr=False)
    origin: Origin
    account: str = ""


@dataclass(frozen=True, slots=True)
class Entered:
    """What staff entered for an alias. ``secret`` is None where it cannot be decrypted here."""

    secret: str | None = field(repr=False)
    account: str = ""


_entered: dict[str, Entered] = {}
_listeners: list[Callable[[], None]] = []
_sources: list[Callable[[], None]] = []


def replace_entered(entered: Mapping[str, Entered]) -> bool:
    """Take over what is entered now; whether that changed anything."""
    if entered == _entered:
        return False
    _entered.clear()
    _entered.update(entered)
    for tell in _listeners:
        tell()
    return True


def on_change(tell: Callable[[], None]) -> None:
    """Be told when other keys hold."""
    _listeners.append(tell)


def ask_for_entered(source: Callable[[], None]) -> None:
    """``source`` looks what is entered, and tells :func:`replace_entered`."""
    _sources.append(source)


def consult() -> None:
    """Look now what is entered; for who runs once and not again and again."""
    for look in _sources:
        look()


def key_of(alias: str) -> Key | None:
    """The key of an entry; None where it has none that can be used.

    A key that was entered for one alias is that of all whose entries name the same ``key_variable``.
    """
    entry = settings.PROVIDERS[alias]
    # Stripped: a key read from a file often ends with a line break.
    if secret := os.environ.get(str(entry.get("key_variable", "")), "").strip():
        return Key(secret, Origin.ENVIRONMENT)
    found = _entered_for(alias, entry)
    return Key(found.secret, Origin.DATABASE, found.account) if found and found.secret else None


def is_undecipherable(alias: str) -> bool:
    """Whether the only key of an entry is one that cannot be decrypted here."""
    found = _entered_for(alias, settings.PROVIDERS[alias])
    return key_of(alias) is None and found is not None and found.secret is None


def _entered_for(alias: str, entry: Mapping[str, Any]) -> Entered | None:
    if alias in _entered:
        return _entered[alias]
    variable = entry.get("key_variable")
    others = (other for other, each in settings.PROVIDERS.items() if variable and each.get("key_variable") == variable)
    return next((_entered[other] for other in others if other in _entered), None)
