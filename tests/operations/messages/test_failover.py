"""Campaigns whose provider surely sent nothing: another one does, through the real adapters, engine and sandbox."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import Batch, ProviderAccount
from batches.operations.messages.sms import build_sms_batch
from batches.submission import submit_batch
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_SECONDS = 60
NO_ROUTE = "+15005550003"
"""Twilio answers it with 21408, as its own test credentials do."""
OPTED_OUT = "+15005550004"
NUMBER = "+14155552671"


@pytest.fixture(scope="module")
def engine(
    django_db_setup: None, sandbox_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with Engine(sandbox_server, tmp_path_factory.mktemp("engine")) as running:
        yield running.start()


@pytest.fixture
def owner(engine: Engine) -> User:
    """One who may see every error."""
    return User.objects.create_superuser(f"failover-{uuid.uuid4().hex[:8]}")


def campaign(owner: User, *people: str, **options: object) -> Batch:
    body = {
        "text": "Hi",
        "recipients": [{"phoneNumber": number} for number in people],
        "provider": "twilio",
        "fallbacks": ["vonage", "plivo"],
        "priority": "high",
        **options,
    }
    return submit_batch(owner_id=owner.pk, new=build_sms_batch(owner.pk, body))


def until(condition: Callable[[], object], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def ended(batch: Batch) -> Counter[tuple[str, str]]:
    def found() -> Counter[tuple[str, str]]:
        return Counter(batch.items.values_list("status", "provider"))

    until(lambda: not batch.items.filter(status__in=["pending", "running"]).exists(), found)
    return found()


def accepted(sandbox: SandboxServer) -> Counter[str]:
    return Counter(entry["to"] for entry in sandbox.log() if entry["accepted"])


def test_a_region_that_one_may_not_send_to_is_reached_by_another(
    sandbox: SandboxServer, owner: User, client: Client
) -> None:
    batch = campaign(owner, NUMBER, NO_ROUTE, OPTED_OUT)
    ended(batch)
    # A worker may know for half a second longer what another test's Vonage refused, and ask the one behind it.
    moved = batch.items.exclude(provider="twilio").get()
    assert (moved.key, moved.status) == (NO_ROUTE, "succeeded")
    assert dict(batch.items.exclude(pk=moved.pk).values_list("key", "status")) == {
        NUMBER: "succeeded",
        OPTED_OUT: "failed",
    }
    assert accepted(sandbox) == {NUMBER: 1, NO_ROUTE: 1}
    assert set(batch.errors.values_list("item__key", "provider", "code")) == {
        (NO_ROUTE, "twilio", "21408"),
        (OPTED_OUT, "twilio", "21610"),
    }
    assert (moved.attempts, moved.failures, moved.used) == (2, 0, {"simulated:segments": 1})
    client.force_login(owner)
    page = client.get(f"/batches/{batch.public_id}/items/{moved.position}").content.decode()
    assert "twilio answered 400: the account may not send to this region" in page
    assert moved.provider in page


@pytest.mark.parametrize("status", [402, 429])
def test_an_account_that_takes_nothing_loses_no_message_and_sends_none_twice(
    sandbox: SandboxServer, owner: User, status: int
) -> None:
    people = [f"+1415555{2000 + number}" for number in range(8)]
    ProviderAccount.objects.all().delete()
    sandbox.configure(accounts={"twilio": {"refuse": status}, "vonage": {"refuse": status}})
    batch = campaign(owner, *people)
    assert ended(batch) == {("succeeded", "plivo"): 8}
    assert accepted(sandbox) == dict.fromkeys(people, 1)


def test_a_storm_of_429_sends_each_message_once(sandbox: SandboxServer, owner: User) -> None:
    people = [f"+1415555{3000 + number}" for number in range(16)]
    ProviderAccount.objects.all().delete()
    sandbox.configure(error_rates={"429": 0.3})
    batch = campaign(owner, *people)
    assert {status for status, _ in ended(batch)} == {"succeeded"}
    assert accepted(sandbox) == dict.fromkeys(people, 1)
    assert not batch.items.filter(failures__gt=0).exists()
    refused = Counter(entry["to"] for entry in sandbox.log() if not entry["accepted"])
    for key, attempts in batch.items.values_list("key", "attempts"):
        assert attempts == 1 + refused[key], "each refusal is an attempt"
