from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from batchsite import environment
from providers.ai.openai import OpenAI
from providers.base import ChatRequest, Limits
from providers.checks import check_providers
from providers.keys import Entered, replace_entered
from providers.registry import UnknownProvider, get_provider, provider_aliases, resolve
from providers.sms.twilio import Twilio
from tests.sandbox_fixture import SandboxServer

CHAT = {
    "adapter": "providers.ai.openai.OpenAI",
    "base_url": "https://api.example.com/v1",
    "key_variable": "EXAMPLE_KEY",
    "model": "gpt-4",
}
SMS = {
    "adapter": "providers.sms.twilio.Twilio",
    "base_url": "https://sms.example.com",
    "key_variable": "EXAMPLE_TOKEN",
    "account": "AC1",
    "sender": "+15005550006",
    "limits": {"sms_per_second": {"high": 8.0}, "requests_per_minute": 60},
}


@pytest.fixture(autouse=True)
def two_providers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXAMPLE_KEY", raising=False)
    monkeypatch.delenv("EXAMPLE_TOKEN", raising=False)
    get_provider.cache_clear()
    settings.PRODUCTION = False
    settings.PROVIDERS = {"smart": CHAT, "text": SMS}
    settings.DEFAULT_CHAT_PROVIDER = "smart"
    settings.DEFAULT_SMS_PROVIDER = "text"


def ids() -> list[str | None]:
    return [message.id for message in check_providers(None)]


def test_aliases_by_what_they_can_do() -> None:
    assert provider_aliases() == ["smart", "text"]
    assert provider_aliases("chat") == ["smart"]
    assert provider_aliases("sms") == ["text"]


def test_an_alias_gives_one_provider_per_process() -> None:
    text = get_provider("text")
    assert isinstance(text, Twilio)
    assert text is get_provider("text")
    assert text.limits == Limits(requests_per_minute=60, sms_per_second={"high": 8.0})


def test_a_model_name_resolves_after_the_aliases(settings: Settings) -> None:
    assert resolve("smart", "chat") is resolve("gpt-4", "chat")
    settings.PROVIDERS = {"smart": CHAT, "gpt-4": {**CHAT, "model": "gpt-4-turbo"}}
    assert resolve("gpt-4", "chat").alias == "gpt-4"
    assert resolve("gpt-4-turbo", "chat").alias == "gpt-4"


@pytest.mark.parametrize(("name", "kind"), [("smrt", "chat"), ("text", "chat"), ("smart", "sms"), ("", "sms")])
def test_an_unknown_name_is_told_the_known_ones(name: str, kind: Any) -> None:
    with pytest.raises(UnknownProvider) as caught:
        resolve(name, kind)
    assert caught.value.known == provider_aliases(kind)
    if name == "smrt":
        assert str(caught.value).endswith("known are smart. Did you mean smart?")


def test_an_unknown_alias() -> None:
    with pytest.raises(UnknownProvider, match="known are smart, text"):
        get_provider("nobody")


def test_without_a_key_development_uses_the_sandbox(settings: Settings, sandbox: SandboxServer) -> None:
    settings.SANDBOX_URL = sandbox.url
    provider = resolve("smart", "chat")
    assert provider.uses_sandbox is True
    assert provider.complete(ChatRequest(prompt="Hello", reference="r", timeout_seconds=5)).text
    assert sandbox.log()[0]["provider"] == "smart"
    assert sandbox.log()[0]["path"] == "/smart/v1/chat/completions"
    assert ids() == ["providers.W001"]


def test_with_a_key_nobody_uses_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_KEY", "key\n")
    monkeypatch.setenv("EXAMPLE_TOKEN", "token")
    provider = get_provider("smart")
    assert isinstance(provider, OpenAI)
    assert provider.uses_sandbox is False
    assert ids() == ["providers.W004"]  # its receipts have nowhere to go


def test_without_a_key_production_refuses(settings: Settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(ImproperlyConfigured, match="set EXAMPLE_KEY"):
        get_provider("smart")
    assert ids() == ["providers.E002", "providers.E002"]
    assert "EXAMPLE_KEY" in (check_providers(None)[0].hint or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modle": "x"}, "Unknown option 'modle', did you mean 'model'?"),
        ({"sender": "x"}, "Unknown option 'sender'"),
        ({"alias": "x"}, "Unknown option 'alias'"),
        ({"adapter": "providers.ai.nobody.Nobody"}, "The adapter cannot be imported"),
        ({"base_url": "ftp://x"}, "base_url must be an http(s) URL."),
        ({"limits": {"max_inflight": 3}}, "Unknown limit 'max_inflight', did you mean 'max_in_flight'?"),
        ({"limits": 3}, "limits must be a mapping."),
        ({"fallbacks": "text"}, "fallbacks must be a list of aliases."),
        ({"fallbacks": ["text"]}, "The fallback 'text' is no other provider of this kind"),
        ({"fallbacks": ["smart"]}, "The fallback 'smart' is no other provider of this kind"),
    ],
)
def test_wrong_entries_are_told_what_is_wrong(settings: Settings, change: dict[str, Any], words: str) -> None:
    settings.PROVIDERS = {"smart": {**CHAT, **change}, "text": SMS}
    assert ids() == ["providers.E001"]
    assert words in str(check_providers(None)[0].msg)
    with pytest.raises(ImproperlyConfigured) as caught:
        get_provider("smart")
    assert words in str(caught.value)


def test_an_entry_may_name_fallbacks_of_its_kind(settings: Settings) -> None:
    settings.PROVIDERS = {"smart": {**CHAT, "fallbacks": ["other"]}, "other": CHAT, "text": SMS}
    assert "providers.E001" not in ids()
    assert get_provider("smart").alias == "smart"


@pytest.mark.parametrize("option", ["adapter", "base_url", "key_variable", "model"])
def test_missing_options_are_named(settings: Settings, option: str) -> None:
    settings.PROVIDERS = {"smart": {name: value for name, value in CHAT.items() if name != option}, "text": SMS}
    assert ids() == ["providers.E001"]


def test_defaults_must_exist(settings: Settings) -> None:
    settings.DEFAULT_CHAT_PROVIDER = "text"
    assert "providers.E003" in ids()


def test_a_variable_names_the_entries_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"smart": CHAT, "text": SMS}
    assert environment.selection("PROVIDERS", known) == known
    monkeypatch.setenv("PROVIDERS", " text,")
    assert environment.selection("PROVIDERS", known) == {"text": SMS}
    monkeypatch.setenv("PROVIDERS", "txt,text")
    with pytest.raises(ImproperlyConfigured, match="PROVIDERS names txt; known are smart, text"):
        environment.selection("PROVIDERS", known)


UNSET = {**SMS, "account": "", "sender": "", "variables": {"account": "EXAMPLE_ACCOUNT", "sender": "EXAMPLE_FROM"}}


def test_a_key_without_what_belongs_to_it_is_of_no_use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages would go out in the name of the sandbox's account, and be refused one by one."""
    settings.PROVIDERS = {"smart": CHAT, "text": UNSET}
    assert get_provider("text").uses_sandbox
    monkeypatch.setenv("EXAMPLE_KEY", "key")
    monkeypatch.setenv("EXAMPLE_TOKEN", "token")
    get_provider.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="no sender: set EXAMPLE_FROM"):
        get_provider("text")
    (message,) = check_providers(None)
    assert message.id == "providers.W003"
    assert "no account: set EXAMPLE_ACCOUNT." in message.msg and "no sender: set EXAMPLE_FROM." in message.msg
    settings.PROVIDERS = {"smart": CHAT, "text": {**UNSET, "account": "AC1", "sender": "+14155550100"}}
    assert get_provider("text").uses_sandbox is False


def test_an_entered_account_is_one(settings: Settings) -> None:
    settings.PROVIDERS = {"smart": CHAT, "text": {**UNSET, "sender": "+14155550100"}}
    replace_entered({"text": Entered("token", "AC7")})
    assert get_provider("text")._account == "AC7"  # type: ignore[attr-defined]
    replace_entered({"text": Entered("token")})
    with pytest.raises(ImproperlyConfigured, match="no account: set EXAMPLE_ACCOUNT"):
        get_provider("text")
    replace_entered({})


@pytest.mark.parametrize(
    ("public", "words"),
    [("", "PUBLIC_URL is not set"), ("http://10.0.0.7", "cannot reach"), ("ftp://a.example.com", "cannot reach")],
)
def test_who_is_asked_for_no_receipts_is_named(
    public: str, words: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_KEY", "key")
    monkeypatch.setenv("EXAMPLE_TOKEN", "token")
    settings.PUBLIC_URL = public
    (message,) = check_providers(None)
    assert (message.id, words in message.msg) == ("providers.W004", True)
    settings.PUBLIC_URL = "https://batches.example.com"
    assert ids() == []
