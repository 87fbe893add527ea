"""Messages in doubt, settled by the provider's own list or by a person."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from batches.models import AuditEntry, Batch, BatchHistogram, Item
from batches.text_messages import doubts, lookups
from providers.base import TextMessage
from providers.registry import get_provider
from tests.api.conftest import Submit, end_items, problems_of, settle
from tests.sandbox_fixture import SandboxServer

NUMBER = "+14155552000"


@pytest.fixture(autouse=True)
def providers(sandbox: SandboxServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's."""
    for variable in ("TWILIO_AUTH_TOKEN", "VONAGE_API_SECRET", "PLIVO_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    settings.SANDBOX_URL = sandbox.url
    settings.PUBLIC_URL = ""
    get_provider.cache_clear()


def send(body: str = "Hello", to: str = NUMBER) -> str:
    """A message that Twilio took; its own id of it."""
    twilio: Any = get_provider("twilio")
    message = TextMessage(to=to, body=body, reference=str(uuid.uuid4()), timeout_seconds=5)
    sent: str = twilio.send(message).provider_reference
    return sent


Doubt = Callable[..., Batch]


@pytest.fixture
def in_doubt(submit: Submit) -> Doubt:
    """A batch whose first items came into doubt so many seconds ago, having started a moment before."""

    def run(count: int = 1, *, of: int = 1, ago: float = 90, provider: str = "twilio") -> Batch:
        batch = submit("sms", count=of)
        Batch.objects.filter(pk=batch.pk).update(provider=provider)
        for position in range(count):
            end_items(
                batch,
                "unknown",
                [position],
                attempt_id=uuid.uuid4(),
                error_category="timeout",
                error_code="timeout",
                attempts=1,
            )
        at = timezone.now() - timedelta(seconds=ago)
        batch.items.filter(status="unknown").update(started_at=at - timedelta(seconds=5), finished_at=at)
        BatchHistogram.objects.create(batch=batch, measure="failed:timeout", bucket=1, count=count)
        return batch

    return run


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The messages of these tests were sent just now, the doubts are older."""
    monkeypatch.setattr(lookups, "LEEWAY_SECONDS", 600.0)


def look_up() -> int:
    return lookups.look_up_doubts(10)


@pytest.mark.usefixtures("lenient")
def test_the_one_message_that_can_be_ours_settles_the_item(in_doubt: Doubt, client: Client) -> None:
    batch = in_doubt(of=2)
    reference = send()
    assert look_up() == 1
    item = batch.items.get(position=0)
    batch.refresh_from_db()
    assert (item.status, item.provider_reference) == ("succeeded", reference)
    assert (batch.succeeded, batch.unknown) == (1, 0)
    figures = client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert (figures["segments"], figures["failures"]) == (1, [])
    assert look_up() == 0


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("what", ["nothing", "another text", "another number", "two", "known already"])
def test_what_is_not_certain_settles_nothing(in_doubt: Doubt, submit: Submit, what: str) -> None:
    batch = in_doubt()
    match what:
        case "another text":
            send("Goodbye")
        case "another number":
            send(to="+14155552999")
        case "two":
            send(), send()
        case "known already":
            end_items(submit("sms", count=1), "succeeded", [0], provider_reference=send())
    assert look_up() == 0
    assert batch.items.get().status == "unknown"


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("rival", ["in doubt", "on its way"])
def test_another_item_that_may_have_sent_it_keeps_it_in_doubt(in_doubt: Doubt, submit: Submit, rival: str) -> None:
    batch = in_doubt()
    if rival == "in doubt":
        in_doubt()
    else:
        submit("sms", count=1).items.update(status="running", lease_id=1, started_at=timezone.now())
    send()
    assert look_up() == 0
    assert batch.items.get().status == "unknown"


def test_only_messages_of_its_time_are_its_own(in_doubt: Doubt) -> None:
    in_doubt(ago=3600)
    send()
    assert look_up() == 0


@pytest.mark.usefixtures("lenient")
def test_young_and_old_doubts_and_other_providers_are_not_asked_about(in_doubt: Doubt, sandbox: SandboxServer) -> None:
    in_doubt(ago=5)
    in_doubt(ago=7 * 3600)
    in_doubt(provider="plivo")
    in_doubt(provider="nobody")
    assert look_up() == 0
    assert sandbox.log() == []


@pytest.mark.usefixtures("lenient")
def test_a_provider_that_does_not_answer_is_left_alone(in_doubt: Doubt, sandbox: SandboxServer) -> None:
    for _ in range(3):
        in_doubt()
    sandbox.configure(error_rates={"503": 1})
    assert look_up() == 0
    assert len(sandbox.log()) == 1


# --- By a person


def settle_as(client: Client, batch: Batch, word: str, **body: Any) -> Any:
    return client.post(f"/api/batch/{batch.public_id}/settle", {"as": word, **body}, "application/json")


def test_a_person_knows_that_they_were_sent(client: Client, in_doubt: Doubt) -> None:
    batch = in_doubt(3, of=3)
    settle(batch, "failed")
    assert settle_as(client, batch, "sent", positions=[0, 2]).json() == {"success": True, "settled": 2}
    batch.refresh_from_db()
    assert (batch.succeeded, batch.unknown, batch.status) == (2, 1, "completed")
    assert [item.status for item in batch.items.order_by("position")] == ["succeeded", "unknown", "succeeded"]
    figures = client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert (figures["segments"], figures["failures"]) == (2, [{"category": "timeout", "count": 1}])
    assert settle_as(client, batch, "sent").json()["settled"] == 1
    assert settle_as(client, batch, "sent").json()["settled"] == 0
    entries = AuditEntry.objects.filter(action="confirm_unknown").order_by("pk")
    assert [entry.details for entry in entries] == [{"items": 2}, {"items": 1}]


def test_a_person_knows_that_they_were_not_and_sends_them_again(client: Client, in_doubt: Doubt) -> None:
    batch = in_doubt(2, of=2)
    settle(batch, "failed")
    assert settle_as(client, batch, "notSent").json()["settled"] == 2
    batch.refresh_from_db()
    assert (batch.failed, batch.unknown) == (2, 0)
    assert client.post(f"/api/batch/{batch.public_id}/retry").json()["retried"] == 2
    assert set(batch.items.values_list("status", flat=True)) == {"pending"}
    figures = client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert figures["failures"] == []


def test_chunks(client: Client, in_doubt: Doubt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "CHUNK", 2)
    batch = in_doubt(5, of=5)
    assert settle_as(client, batch, "notSent").json()["settled"] == 5
    assert Item.objects.filter(batch=batch, status="failed").count() == 5


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"as": "required"}),
        ({"as": "maybe"}, {"as": "invalid_choice"}),
        ({"as": ["sent"]}, {"as": "invalid_choice"}),
        ({"as": None}, {"as": "required"}),
        ({"as": "sent", "positions": "x"}, {"positions": "invalid_type"}),
        ({"as": "sent", "position": [1]}, {"position": "unknown_field"}),
    ],
)
def test_bad_input_settles_nothing(
    client: Client, in_doubt: Doubt, body: dict[str, Any], problems: dict[str, str]
) -> None:
    batch = in_doubt()
    response = client.post(f"/api/batch/{batch.public_id}/settle", body, "application/json")
    assert problems_of(response) == problems
    assert batch.items.get().status == "unknown"


def test_it_is_the_owners_alone(bobs_client: Client, in_doubt: Doubt) -> None:
    assert settle_as(bobs_client, in_doubt(), "sent").status_code == 404


def test_items_and_counters_agree_while_a_receipt_is_faster(in_doubt: Doubt) -> None:
    """What was settled in between is counted once."""
    batch = in_doubt(2, of=2)
    first = batch.items.get(position=0)
    Item.objects.filter(pk=first.pk).update(status="succeeded")
    Batch.objects.filter(pk=batch.pk).update(unknown=F("unknown") - 1, succeeded=F("succeeded") + 1)
    assert doubts.give_up(batch, actor_id=None) == 1
    assert (batch.succeeded, batch.failed, batch.unknown) == (1, 1, 0)
