"""Whose key is used: the environment's first, then one that was entered, for the alias or one of the same account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from providers.checks import check_providers
from providers.keys import Entered, Origin, is_undecipherable, key_of, replace_entered
from providers.registry import get_provider
from tests.providers.test_registry import CHAT, SMS


@pytest.fixture(autouse=True)
def nothing_entered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.PROVIDERS = {"smart": CHAT, "smarter": {**CHAT, "model": "other"}, "text": SMS}
    settings.PRODUCTION = False
    monkeypatch.setattr("providers.keys._sources", [])
    for variable in (CHAT["key_variable"], str(SMS["key_variable"])):
        monkeypatch.delenv(variable, raising=False)
    replace_entered({})
    get_provider.cache_clear()
    yield
    replace_entered({})
    get_provider.cache_clear()


def test_an_entered_key_takes_the_sandboxs_place_and_gives_it_back() -> None:
    assert get_provider("smart").uses_sandbox
    assert replace_entered({"smart": Entered("sk-entered")})
    assert not replace_entered({"smart": Entered("sk-entered")})
    assert not get_provider("smart").uses_sandbox
    found = key_of("smart")
    assert found is not None
    assert (found.secret, found.origin) == ("sk-entered", Origin.DATABASE)
    assert "sk-entered" not in repr(found)
    replace_entered({})
    assert get_provider("smart").uses_sandbox


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_entered({"smart": Entered("sk-entered")})
    monkeypatch.setenv(CHAT["key_variable"], "sk-environment\n")
    found = key_of("smart")
    assert found is not None
    assert (found.secret, found.origin) == ("sk-environment", Origin.ENVIRONMENT)


def test_entries_of_one_account_share_its_key() -> None:
    replace_entered({"smart": Entered("sk-entered")})
    shared, other = key_of("smarter"), key_of("text")
    assert shared is not None
    assert (shared.secret, other) == ("sk-entered", None)
    replace_entered({"smart": Entered("sk-entered"), "smarter": Entered("sk-own")})
    own = key_of("smarter")
    assert own is not None
    assert own.secret == "sk-own"


def test_an_account_goes_with_its_key() -> None:
    replace_entered({"text": Entered("secret", "AC-entered")})
    provider: Any = get_provider("text")
    assert provider._account == "AC-entered"
    replace_entered({"text": Entered("secret")})
    assert get_provider("text")._account == SMS["account"]  # type: ignore[attr-defined]


def test_a_key_that_cannot_be_decrypted_is_none() -> None:
    replace_entered({"smart": Entered(None)})
    assert key_of("smart") is None
    assert is_undecipherable("smart")
    assert not is_undecipherable("text")


def test_in_production_one_without_a_key_is_told_how_to_have_one(settings: Settings) -> None:
    settings.PRODUCTION = True
    settings.PUBLIC_URL = "https://batches.example.com"
    settings.CREDENTIAL_KEYS = []
    settings.DEFAULT_CHAT_PROVIDER, settings.DEFAULT_SMS_PROVIDER = "smart", "text"
    assert {message.id for message in check_providers(None)} == {"providers.E002"}
    with pytest.raises(ImproperlyConfigured, match=f"set {CHAT['key_variable']}"):
        get_provider("smart")
    settings.CREDENTIAL_KEYS = ["k"]
    messages = check_providers(None)
    assert {message.id for message in messages} == {"providers.W002"}
    assert "or enter it in the admin" in str(messages[0].hint)
    replace_entered({"smart": Entered(None), "text": Entered("key")})
    hints = [str(message.hint) for message in check_providers(None)]
    assert len(hints) == 2
    assert all("needs another of CREDENTIAL_KEYS" in hint for hint in hints)
