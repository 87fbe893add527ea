"""Keys that staff enters: encrypted, never shown, noticed within seconds, in the trail without their text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from batches.models import AuditEntry, ProviderCredential
from batches.problems import InvalidInput
from batches.provider_accounts import credentials
from providers.keys import key_of, replace_entered
from providers.registry import get_provider

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "sk-entered-by-staff-1234"
ALIAS = "openai-gpt-5"


@pytest.fixture(autouse=True)
def encrypting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    for entry in settings.PROVIDERS.values():
        monkeypatch.delenv(entry["key_variable"], raising=False)
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.0)
    replace_entered({})
    yield
    replace_entered({})


def secret_of(alias: str) -> str | None:
    found = key_of(alias)
    return found.secret if found else None


def test_a_stored_key_is_encrypted_and_used(admin_user: User) -> None:
    credentials.store(ALIAS, f" {SECRET}\n", actor_id=admin_user.pk)
    row = ProviderCredential.objects.get()
    assert SECRET.encode() not in bytes(row.secret)
    assert row.last_four == "1234"
    assert secret_of(ALIAS) == secret_of("gpt-4") == SECRET
    assert not get_provider(ALIAS).uses_sandbox
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.details) == ("set_credential", admin_user, {"provider": ALIAS})
    assert credentials.forget(ALIAS, actor_id=admin_user.pk)
    assert not credentials.forget(ALIAS, actor_id=admin_user.pk)
    assert get_provider(ALIAS).uses_sandbox
    assert AuditEntry.objects.count() == 2


def test_what_another_process_stored_is_noticed() -> None:
    credentials.store(ALIAS, SECRET, actor_id=None)
    replace_entered({})
    credentials.look_again()
    assert secret_of(ALIAS) == SECRET
    ProviderCredential.objects.all().delete()
    credentials.look_again()
    assert secret_of(ALIAS) is None


def test_looks_are_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    credentials.look_again()
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 60.0)
    with django_assert_num_queries(0):
        credentials.look_again()


def test_keys_to_encrypt_with_are_changed_one_after_the_other(settings: Settings) -> None:
    credentials.store(ALIAS, SECRET, actor_id=None)
    (old,) = settings.CREDENTIAL_KEYS
    new = Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [new, old]
    assert credentials.rotate() == 1
    settings.CREDENTIAL_KEYS = [new]
    credentials.look()
    assert secret_of(ALIAS) == SECRET
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    credentials._last.deciphered = {}
    credentials.look()
    assert secret_of(ALIAS) is None
    assert credentials.rotate() == 0


@pytest.mark.parametrize(
    ("alias", "secret", "account", "path"),
    [
        ("nobody", SECRET, "", "alias"),
        (ALIAS, "  ", "", "secret"),
        (ALIAS, "k" * 1_001, "", "secret"),
        (ALIAS, "k\x00", "", "secret"),
        (ALIAS, "kéy", "", "secret"),
        (ALIAS, SECRET, "a" * 101, "account"),
        (ALIAS, SECRET, "a\nb", "account"),
        ("twilio", SECRET, "", "account"),
    ],
)
def test_what_is_no_key_is_refused(alias: str, secret: str, account: str, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        credentials.store(alias, secret, account=account, actor_id=None)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert not ProviderCredential.objects.exists()


def test_without_keys_to_encrypt_with_none_is_kept(settings: Settings, admin_client: Client) -> None:
    settings.CREDENTIAL_KEYS = []
    with pytest.raises(InvalidInput, match="CREDENTIAL_KEYS"):
        credentials.store(ALIAS, SECRET, actor_id=None)
    assert admin_client.get(reverse("admin:batches_providercredential_add")).status_code == 403


def test_the_admin_takes_a_key_and_never_shows_it(admin_client: Client) -> None:
    add = reverse("admin:batches_providercredential_add")
    assert 'type="password"' in admin_client.get(add).content.decode()
    answer = admin_client.post(add, {"alias": ALIAS, "key": SECRET, "account": ""})
    assert answer.status_code == 302, answer.content.decode()
    assert secret_of(ALIAS) == SECRET
    change = reverse("admin:batches_providercredential_change", args=[ALIAS])
    listed = admin_client.get(reverse("admin:batches_providercredential_changelist")).content.decode()
    assert "...1234" in listed
    for page in (listed, admin_client.get(change).content.decode()):
        assert SECRET not in page
    assert admin_client.post(change, {"key": "sk-another-key-9876", "account": ""}).status_code == 302
    assert secret_of(ALIAS) == "sk-another-key-9876"
    refused = admin_client.post(change, {"key": "kéy", "account": ""})
    assert (refused.status_code, "printable ASCII" in refused.content.decode()) == (200, True)
    delete = reverse("admin:batches_providercredential_delete", args=[ALIAS])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 302
    assert secret_of(ALIAS) is None
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["set_credential", "set_credential", "remove_credential"]


def test_only_who_may_enters_keys(client: Client) -> None:
    looker = User.objects.create_user("sam", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_providercredential"))
    client.force_login(looker)
    assert client.get(reverse("admin:batches_providercredential_changelist")).status_code == 200
    assert client.get(reverse("admin:batches_providercredential_add")).status_code == 403


def test_the_command_reads_keys_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    said = io.StringIO()
    call_command("credentials", "set", ALIAS, stdout=said)
    call_command("credentials", "list", stdout=said)
    call_command("credentials", "rotate", stdout=said)
    assert f"{ALIAS}: database (entered: ...1234)" in said.getvalue()
    assert "1 of 1 keys are encrypted" in said.getvalue()
    assert SECRET not in said.getvalue()
    call_command("credentials", "remove", ALIAS, stdout=said)
    with pytest.raises(CommandError, match="No key was entered"):
        call_command("credentials", "remove", ALIAS, stdout=said)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="printable ASCII"):
        call_command("credentials", "set", ALIAS, stdout=said)
