"""System checks: a provider that is set up wrongly is told at start, not at the first call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error

from providers.keys import consult, key_of
from providers.registry import (
    UnknownProvider,
    aliases_without_key,
    get_provider,
    how_to_set,
    lacks_of,
    problems_of,
    provider_aliases,
    why_no_receipts,
)
from providers.sms.adapter import SmsAdapter


def check_providers(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001 wrong entry, E002 no key in production, E003 unknown default; W001 who uses the sandbox.

    W002: who has no key yet in production, where keys can be entered. W003: who has a key, but not all that belongs to
    it, and cannot be used. W004: who is asked for no receipts.
    """
    problems = {alias: " ".join(problems_of(alias)) for alias in provider_aliases()}
    messages: list[CheckMessage] = [
        Error(f"PROVIDERS[{alias!r}]: {problem}", id="providers.E001") for alias, problem in problems.items() if problem
    ]
    return messages or [*_check_keys(), *_check_what_belongs_to_keys(), *_check_defaults()]


def _check_keys() -> list[CheckMessage]:
    if aliases_without_key():
        consult()
    missing = aliases_without_key()
    if settings.PRODUCTION:
        # Where staff enters keys, the pages to enter them have to start without.
        kind, code = (checks.Warning, "W002") if settings.CREDENTIAL_KEYS else (Error, "E002")
        return [
            kind(
                f"Provider {alias!r} has no key.",
                hint=f"{_sentence(how_to_set(alias))} Or remove the entry from PROVIDERS.",
                id=f"providers.{code}",
            )
            for alias in missing
        ]
    if not missing:
        return []
    variables = sorted({settings.PROVIDERS[alias]["key_variable"] for alias in missing})
    return [
        checks.Warning(
            f"These providers use the sandbox at {settings.SANDBOX_URL}: {', '.join(missing)}.",
            hint=f"Set {', '.join(variables)} to call the real ones.",
            id="providers.W001",
        )
    ]


def _check_what_belongs_to_keys() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for alias in provider_aliases():
        lacks = " ".join(lacks_of(alias))
        if lacks:
            messages.append(checks.Warning(f"Provider {alias!r} cannot be used. {lacks}", id="providers.W003"))
            continue
        provider = get_provider(alias) if key_of(alias) else None
        if isinstance(provider, SmsAdapter) and (why := why_no_receipts(provider)):
            messages.append(checks.Warning(f"Provider {alias!r}: {why}", id="providers.W004"))
    return messages


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _check_defaults() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for setting, able in (
        ("DEFAULT_CHAT_PROVIDER", provider_aliases("chat")),
        ("DEFAULT_IMAGE_PROVIDER", provider_aliases("images")),
        ("DEFAULT_SMS_PROVIDER", provider_aliases("sms")),
    ):
        name = getattr(settings, setting)
        # Not everybody makes images: without a provider for them there is no default to be wrong.
        if name not in able and (able or setting != "DEFAULT_IMAGE_PROVIDER"):
            messages.append(Error(f"{setting}: {UnknownProvider(name, able)}", id="providers.E003"))
    return messages
