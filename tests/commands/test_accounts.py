"""``manage.py accounts``, and closing a breaker by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from batches.models import AuditEntry, ProviderAccount

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def opened() -> ProviderAccount:
    return ProviderAccount.objects.create(
        alias="openai-gpt-5", opened_at=AT, opened_for="authentication (invalid_api_key)", probe_at=AT
    )


def test_each_account_says_how_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    opened()
    ProviderAccount.objects.create(alias="gpt-4", requests_per_minute=3000, concurrency=41.6, learned_at=AT)
    call_command("accounts")
    assert capsys.readouterr().out.splitlines() == [
        "gpt-4: takes calls; 42 calls in flight; 3,000 requests a minute",
        "openai-gpt-5: unavailable: authentication (invalid_api_key) since 2026-11-22 08:00:00 UTC;"
        " tried again at 08:00:00",
    ]


def test_a_breaker_is_closed_now(capsys: pytest.CaptureFixture[str]) -> None:
    account = opened()
    call_command("accounts", "--close-breaker", account.alias)
    account.refresh_from_db()
    assert (account.opened_at, account.opened_for, account.probe_at) == (None, "", None)
    assert account.closed_until is not None
    assert account.closed_until <= timezone.now(), "it starts slowly"
    call_command("accounts", "--close-breaker", account.alias)
    assert capsys.readouterr().out == "openai-gpt-5 takes calls again.\nopenai-gpt-5 was not shut.\n"
    with pytest.raises(CommandError, match="Nothing is known"):
        call_command("accounts", "--close-breaker", "nobody")


def test_staff_close_it_in_the_admin() -> None:
    account = opened()
    client, staff = Client(), User.objects.create_superuser("sam")
    client.force_login(staff)
    data = {"action": "close_breakers", "_selected_action": [account.pk]}
    answer = client.post(reverse("admin:batches_provideraccount_changelist"), data, follow=True)
    assert "They take calls again: openai-gpt-5." in answer.content.decode()
    account.refresh_from_db()
    assert account.opened_at is None
    assert AuditEntry.objects.get(action="close_breaker").details == {"alias": "openai-gpt-5"}
