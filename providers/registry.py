"""The configured providers: ``settings.PROVIDERS``, each made once per process when first asked for."""

from __future__ import annotations

import difflib
import inspect
import ipaddress
import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, cast, overload
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from providers.base import ChatProvider, ImageProvider, Limits, Provider, SmsProvider
from providers.keys import consult, is_undecipherable, key_of, on_change
from providers.prices import problems_of_prices
from providers.sms.adapter import SmsAdapter

Kind = Literal["chat", "images", "sms"]

VERBS: dict[Kind, str] = {"chat": "complete", "images": "generate", "sms": "send"}
# What the registry itself passes to an adapter; every other parameter of an adapter is an option of its entry.
PASSED = frozenset({"self", "alias", "key", "uses_sandbox", "receipts_url", "signature_secret"})
REGISTRY_OPTIONS = frozenset(
    {"adapter", "base_url", "fallbacks", "key_variable", "limits", "model", "prices", "signature_variable", "variables"}
)
# What the registry does not pass to an adapter as it stands in the entry.
KEPT = frozenset({"adapter", "fallbacks", "key_variable", "limits", "prices", "signature_variable", "variables"})
SANDBOX_KEY = "sandbox"
SANDBOX_OPTIONS = {"account": "sandbox", "sender": "+15005550006"}
"""What the sandbox is told where the variable of an option is not set."""


class UnknownProvider(Exception):
    """No provider has this name, as alias or as model; ``known`` are the aliases there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        super().__init__(f"Unknown provider {name!r}; known are {', '.join(known) or 'none'}.{hint}")
        self.name = name
        self.known = known


def provider_aliases(kind: Kind | None = None) -> list[str]:
    """The names of all entries, or of those that can do ``kind``, in the order of the settings."""
    return [alias for alias in settings.PROVIDERS if kind is None or _can(alias, kind)]


@cache
def get_provider(alias: str) -> Provider:
    """The provider of this alias.

    Raises :class:`UnknownProvider`, or ``ImproperlyConfigured`` for a wrong entry, a key without what belongs to it
    or, in production, no key.
    """
    if alias not in settings.PROVIDERS:
        raise UnknownProvider(alias, provider_aliases())
    if problems := list(problems_of(alias)):
        raise ImproperlyConfigured(f"PROVIDERS[{alias!r}]: {' '.join(problems)}")
    entry: dict[str, Any] = dict(settings.PROVIDERS[alias])
    key = key_of(alias)
    if key is None:
        if settings.PRODUCTION:
            raise ImproperlyConfigured(f"Provider {alias!r} has no key: {how_to_set(alias)}")
        entry["base_url"] = sandbox_url(alias)
        entry |= {name: SANDBOX_OPTIONS[name] for name in _unset(entry) if name in SANDBOX_OPTIONS}
    elif lacks := list(lacks_of(alias)):
        raise ImproperlyConfigured(f"PROVIDERS[{alias!r}]: {' '.join(lacks)}")
    elif key.account and "account" in entry:
        entry["account"] = key.account
    limits = Limits(**entry.get("limits", {}))
    options = {name: value for name, value in entry.items() if name not in KEPT}
    adapter = import_string(entry["adapter"])
    if "receipts_url" in inspect.signature(adapter).parameters:
        secret = os.environ.get(entry.get("signature_variable", ""), "").strip()
        options |= {"receipts_url": receipts_url(alias, uses_sandbox=key is None), "signature_secret": secret}
    secret_key = key.secret if key else SANDBOX_KEY
    provider = adapter(alias=alias, key=secret_key, limits=limits, uses_sandbox=key is None, **options)
    return cast(Provider, provider)


@overload
def resolve(name: str, kind: Literal["chat"]) -> ChatProvider: ...
@overload
def resolve(name: str, kind: Literal["images"]) -> ImageProvider: ...
@overload
def resolve(name: str, kind: Literal["sms"]) -> SmsProvider: ...
def resolve(name: str, kind: Kind) -> ChatProvider | ImageProvider | SmsProvider:
    """The provider that ``name`` means, an alias first, then the model of any entry; it can do ``kind``.

    Raises :class:`UnknownProvider`, which lists the aliases of that kind.
    """
    consult()
    able = provider_aliases(kind)
    if name not in able:
        models = [alias for alias in able if name and settings.PROVIDERS[alias].get("model") == name]
        if not models:
            raise UnknownProvider(name, able)
        name = models[0]
    return cast(ChatProvider | ImageProvider | SmsProvider, get_provider(name))


def sandbox_url(alias: str) -> str:
    """Where the sandbox plays this provider: the alias in front tells it, and its journal, who is meant."""
    path = urlsplit(settings.PROVIDERS[alias]["base_url"]).path.rstrip("/")
    return f"{settings.SANDBOX_URL.rstrip('/')}/{alias}{path}"


def receipts_url(alias: str, *, uses_sandbox: bool) -> str:
    """Where a provider of messages shall tell what became of them; empty without a ``PUBLIC_URL`` that it can reach.

    The sandbox reaches what this machine reaches; others refuse a message whose receipts go to a private address.
    """
    base = settings.PUBLIC_URL.rstrip("/")
    if not base or not (uses_sandbox or is_public(base)):
        return ""
    return f"{base}/api/receipts/{alias}"


def is_public(url: str) -> bool:
    """Whether others may reach the address, by its looks: no name of this machine, no private number."""
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    host = address.hostname or ""
    if address.scheme not in {"http", "https"}:
        return False
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        named = "." in host and not host.rpartition(".")[2].isdecimal()
        return named and not host.endswith((".localhost", ".local", ".internal", ".test"))
    return (getattr(number, "ipv4_mapped", None) or number).is_global


def why_no_receipts(provider: SmsAdapter) -> str | None:
    """Why a provider of messages is not asked for receipts; None where it is."""
    if provider.receipts_url:
        return None
    if not settings.PUBLIC_URL:
        return "PUBLIC_URL is not set: no receipts are asked for."
    if not receipts_url(provider.alias, uses_sandbox=provider.uses_sandbox):
        return "PUBLIC_URL is an address that the provider cannot reach: no receipts are asked for."
    return "The secret that it signs with is not set: no receipts are asked for."


def aliases_without_key() -> list[str]:
    """The entries that have no key: their variable is unset or empty, and none was entered that can be decrypted."""
    return [alias for alias in settings.PROVIDERS if key_of(alias) is None]


def how_to_set(alias: str) -> str:
    """A sentence for who can give an entry its key."""
    variable = settings.PROVIDERS[alias].get("key_variable")
    if is_undecipherable(alias):
        return f"the one that was entered needs another of CREDENTIAL_KEYS than there are; or set {variable}."
    return f"set {variable}{', or enter it in the admin' if settings.CREDENTIAL_KEYS else ''}."


def problems_of(alias: str) -> Iterator[str]:
    """Sentences that say what is wrong with an entry; none if it can be used once its key is set."""
    entry = settings.PROVIDERS[alias]
    try:
        adapter = import_string(entry.get("adapter", ""))
    except ImportError as fault:
        yield f"The adapter cannot be imported: {fault}."
        return
    parameters = inspect.signature(adapter).parameters
    known = REGISTRY_OPTIONS | (parameters.keys() - PASSED)
    for option in sorted(entry.keys() - known):
        yield f"Unknown option {option!r}{_did_you_mean(option, known)}."
    required = {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}
    for option in sorted(((required - PASSED - {"limits"}) | {"base_url", "key_variable"}) - entry.keys()):
        yield f"The option {option!r} is missing."
    if urlsplit(str(entry.get("base_url", "http:"))).scheme not in {"http", "https"}:
        yield "base_url must be an http(s) URL."
    yield from _problems_of_limits(entry.get("limits", {}))
    if "prices" in entry:
        yield from problems_of_prices(entry["prices"])
    yield from _problems_of_fallbacks(alias, entry.get("fallbacks", ()))


def lacks_of(alias: str) -> Iterator[str]:
    """Sentences that say what an entry with a key lacks beside it, such as the account that the key belongs to."""
    entry, key = settings.PROVIDERS[alias], key_of(alias)
    for name in _unset(entry) if key is not None else ():
        if not (key and name == "account" and key.account):
            yield f"It has a key, but no {name}: set {entry['variables'][name]}."


def needed_account(alias: str) -> str:
    """The variable of the account without which a key of this alias is of no use; empty where it needs none."""
    entry = settings.PROVIDERS.get(alias, {})
    return str(entry["variables"]["account"]) if "account" in _unset(entry) else ""


def _unset(entry: Mapping[str, Any]) -> list[str]:
    """The options of an entry whose variables are not set."""
    return [name for name in entry.get("variables", {}) if not entry.get(name)]


def _problems_of_limits(limits: Any) -> Iterator[str]:
    if not isinstance(limits, Mapping):
        yield "limits must be a mapping."
        return
    known = set(Limits.__dataclass_fields__)
    for name in sorted(limits.keys() - known):
        yield f"Unknown limit {name!r}{_did_you_mean(name, known)}."


def _problems_of_fallbacks(alias: str, fallbacks: Any) -> Iterator[str]:
    if not isinstance(fallbacks, list | tuple):
        yield "fallbacks must be a list of aliases."
        return
    kinds = [kind for kind in VERBS if _can(alias, kind)]
    able = {each for kind in kinds for each in provider_aliases(kind)} - {alias}
    for each in fallbacks:
        if each not in able:
            yield f"The fallback {each!r} is no other provider of this kind{_did_you_mean(str(each), able)}."


def _did_you_mean(name: str, known: set[str] | frozenset[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"


def _can(alias: str, kind: Kind) -> bool:
    try:
        adapter = import_string(settings.PROVIDERS[alias].get("adapter", ""))
    except ImportError:
        return False
    return callable(getattr(adapter, VERBS[kind], None))


def _forget_providers(*, setting: str, **_: Any) -> None:
    if setting in {"PROVIDERS", "SANDBOX_URL", "PRODUCTION", "PUBLIC_URL"}:
        get_provider.cache_clear()


setting_changed.connect(_forget_providers)
on_change(get_provider.cache_clear)
