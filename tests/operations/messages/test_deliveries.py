"""Campaigns through the real engine, with the real sandbox telling a real web server what became of each message."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches.holdups import holdups
from batches.models import ApiKey, Batch, BatchHistogram, DeliveryReceipt, ItemError, OptOut
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_SECONDS = 60
PEOPLE = [f"+1415555{2000 + number}" for number in range(12)]


@pytest.fixture(scope="module")
def engine(
    django_db_setup: None, sandbox_server: SandboxServer, live_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One dispatcher and one worker, who tell providers that we are the test's web server."""
    with Engine(sandbox_server, tmp_path_factory.mktemp("engine"), PUBLIC_URL=live_server.url) as running:
        yield running.start()


class Owner:
    """An owner and the API."""

    def __init__(self, name: str) -> None:
        self.user = User.objects.create_user(name)
        _, secret = ApiKey.issue(owner_id=self.user.pk, name="test")
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def text(self, *people: str, **body: Any) -> Batch:
        recipients = [{"phoneNumber": number} for number in people]
        content = {"text": "Hi", "recipients": recipients, "priority": "high", **body}
        answer = self.client.post("/api/batch", content, "application/json")
        assert answer.status_code == 202, answer.content
        return Batch.objects.get(public_id=answer.json()["batchId"])

    def delivery(self, batch: Batch) -> Any:
        return self.client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]["delivery"]


@pytest.fixture
def owner(engine: Engine, sandbox: SandboxServer, live_server: Any, settings: Any) -> Iterator[Owner]:
    settings.PUBLIC_URL = live_server.url
    yield Owner("alice")
    sandbox.clear()  # late receipts would meet the next test


def until(condition: Callable[[], object], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def statuses(batch: Batch) -> Counter[tuple[str, str]]:
    return Counter(batch.items.values_list("status", "delivery"))


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("twilio", None),
        ("vonage", "repeated"),
        ("plivo", "reordered"),
        *((provider, "early") for provider in ("twilio", "vonage", "plivo")),
    ],
)
def test_every_message_ends_delivered_once(
    owner: Owner, sandbox: SandboxServer, provider: str, fault: str | None
) -> None:
    sandbox.configure(latency_ms=50, receipts={"faults": {fault: 1} if fault else {}, "ended_ms": 200})
    batch = owner.text(*PEOPLE[:3], provider=provider)
    until(lambda: statuses(batch) == {("succeeded", "delivered"): 3}, lambda: statuses(batch))
    assert owner.delivery(batch) == {"delivered": 3, "undelivered": 0, "pending": 0, "rate": 1.0}
    counted = BatchHistogram.objects.filter(batch=batch, measure="delivery:delivered").values_list("count", flat=True)
    assert sum(counted) == 3
    assert len([entry for entry in sandbox.log() if entry["accepted"]]) == 3
    references = {entry["reference"] for entry in sandbox.log()}
    assert references == {str(attempt) for attempt in batch.items.values_list("attempt_id", flat=True)}
    until(lambda: not DeliveryReceipt.objects.filter(applied_at=None).exists(), lambda: "an open receipt")


def test_forged_receipts_change_nothing(owner: Owner, sandbox: SandboxServer) -> None:
    sandbox.configure(receipts={"faults": {"forged": 1}, "sent_ms": 0, "ended_ms": 10})
    batch = owner.text(*PEOPLE[:2])
    until(lambda: batch.items.filter(status="succeeded").count() == 2, lambda: statuses(batch))
    sandbox.configure(receipts={"faults": {}})
    real = owner.text(PEOPLE[2])  # told after the forged ones
    until(lambda: statuses(real) == {("succeeded", "delivered"): 1}, lambda: statuses(real))
    assert statuses(batch) == {("succeeded", ""): 2}
    assert owner.delivery(batch) == {"delivered": 0, "undelivered": 0, "pending": 2, "rate": None}


def test_undelivered_messages_say_why(owner: Owner, sandbox: SandboxServer) -> None:
    sandbox.configure(receipts={"undelivered_rate": 1, "error_code": "30006"})
    batch = owner.text(PEOPLE[0])
    until(lambda: statuses(batch) == {("succeeded", "undelivered"): 1}, lambda: statuses(batch))
    item = batch.items.get()
    assert (item.error_category, item.error_code) == ("invalid_request", "30006")
    assert owner.delivery(batch)["rate"] == 0.0


@pytest.mark.parametrize("provider", ["twilio", "vonage", "plivo"])
def test_receipts_settle_messages_whose_answers_never_came(owner: Owner, sandbox: SandboxServer, provider: str) -> None:
    """Half of the calls that are cut off were heard: these have receipts, and the others none."""
    sandbox.configure(error_rates={"disconnect": 1}, receipts={"sent_ms": 300, "ended_ms": 600})
    batch = owner.text(*PEOPLE, provider=provider)

    def accepted() -> int:
        return len([entry for entry in sandbox.log() if entry["accepted"]])

    def is_settled() -> bool:
        found = statuses(batch)
        return found["succeeded", "delivered"] == accepted() and sum(found.values()) == sum(
            number for (status, _), number in found.items() if status in ("succeeded", "unknown")
        )

    until(lambda: len(sandbox.log()) == len(PEOPLE) and is_settled(), lambda: (statuses(batch), accepted()))
    until(lambda: Batch.objects.get(pk=batch.pk).settled_at is not None, lambda: "not settled")
    batch.refresh_from_db()
    assert (batch.succeeded, batch.unknown) == (accepted(), len(PEOPLE) - accepted())
    assert batch.status == ("completed" if accepted() else "failed")
    analytics = owner.client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert analytics["segments"] == accepted()
    assert sum(one["count"] for one in analytics["failures"]) == batch.unknown


def test_who_answers_stop_is_not_texted_again(owner: Owner, sandbox: SandboxServer, live_server: Any) -> None:
    batch = owner.text(*PEOPLE[:2])
    until(lambda: batch.items.filter(status="succeeded").count() == 2, lambda: statuses(batch))
    url = f"{live_server.url}/api/inbound/twilio"
    person = {"provider": "twilio", "url": url, "from": PEOPLE[0]}
    assert sandbox.write(**person, secret="wrong") == 403
    assert sandbox.write(**person) == 204
    assert list(OptOut.objects.values_list("owner", "number")) == [(owner.user.pk, PEOPLE[0])]
    second = owner.text(*PEOPLE[:2])
    assert second.warnings == ["1 recipient has opted out and will get no message: recipients 0."]
    until(lambda: second.items.filter(status__in=["succeeded", "failed"]).count() == 2, lambda: statuses(second))
    refused, sent = second.items.order_by("position")
    assert (refused.status, refused.error_code, refused.error_category) == ("failed", "opted_out", "content")
    assert sent.status == "succeeded"
    assert Counter(entry["to"] for entry in sandbox.log()) == {PEOPLE[0]: 1, PEOPLE[1]: 2}
    assert sandbox.write(**person, text="START") == 204
    third = owner.text(PEOPLE[0])
    until(lambda: third.items.filter(status="succeeded").exists(), lambda: statuses(third))


def test_an_opt_out_that_comes_while_a_batch_waits_holds(owner: Owner, sandbox: SandboxServer) -> None:
    batch = owner.text(PEOPLE[0], options={"autoStart": False})
    answer = owner.client.post("/api/opt-outs", {"phoneNumbers": [PEOPLE[0]]}, "application/json")
    assert answer.json()["added"] == 1
    owner.client.post(f"/api/batch/{batch.public_id}/start")
    until(lambda: batch.items.filter(status="failed").exists(), lambda: statuses(batch))
    item = batch.items.get()
    assert (item.error_code, item.attempts, item.failures, item.attempt_id) == ("opted_out", 0, 0, None)
    assert ItemError.objects.values_list("code", "provider").get() == ("opted_out", "")
    analytics = owner.client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"]
    assert analytics["failures"] == [{"category": "content", "count": 1}]
    measures = set(BatchHistogram.objects.filter(batch=batch).values_list("measure", flat=True))
    assert not measures & {"calls", "duration", "duration_sum"}, "nobody was called"
    assert sandbox.log() == []


@pytest.mark.parametrize("trouble", [401, 402])
def test_while_an_account_refuses_everybody_another_sends(owner: Owner, sandbox: SandboxServer, trouble: int) -> None:
    """Nothing had left, so nothing is sent twice; the second account's own limit holds, and its receipts are heard."""
    sandbox.configure(accounts={"twilio": {"refuse": trouble}})
    batch = owner.text(*PEOPLE, fallbacks=["plivo"])
    until(lambda: statuses(batch) == {("succeeded", "delivered"): len(PEOPLE)}, lambda: statuses(batch))
    assert set(batch.items.values_list("provider", flat=True)) == {"plivo"}
    calls = [entry for entry in sandbox.log() if entry["provider"] == "plivo"]
    assert Counter(entry["to"] for entry in calls) == dict.fromkeys(PEOPLE, 1)
    assert not [entry for entry in sandbox.log() if entry["provider"] == "twilio" and entry["accepted"]]
    instants = sorted(entry["at"] for entry in calls)
    assert instants[-1] - instants[0] >= (len(PEOPLE) - 2) / 8  # high: 8 a second
    assert owner.delivery(batch)["delivered"] == len(PEOPLE)


def test_what_is_in_doubt_at_one_account_is_not_sent_by_another(owner: Owner, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"disconnect": 1}, receipts={"faults": {"lost": 1}})
    batch = owner.text(*PEOPLE[:4], fallbacks=["plivo"])
    until(lambda: batch.items.filter(status="unknown").count() == 4, lambda: statuses(batch))
    assert {entry["provider"] for entry in sandbox.log()} == {"twilio"}
    assert len(sandbox.log()) == 4


def test_nobody_is_texted_at_night(owner: Owner, sandbox: SandboxServer) -> None:
    """It is night in California now; in Tokyo, where these hours are others, it is not."""
    here = datetime.now(ZoneInfo("America/Los_Angeles"))
    night = {"start": f"{here - timedelta(hours=1):%H:%M}", "end": f"{here + timedelta(hours=2):%H:%M}"}
    batch = owner.text(*PEOPLE, "+81312345678", options={"quietHours": night})
    until(lambda: batch.items.filter(status="succeeded").exists(), lambda: statuses(batch))
    soon = timezone.now() + timedelta(minutes=110)
    until(lambda: batch.items.filter(status="pending", due_at__gt=soon).count() == len(PEOPLE), lambda: "not put back")
    assert set(batch.items.filter(status="pending").values_list("attempts", "failures", "first_attempt_at")) == {
        (0, 0, None)
    }
    assert [entry["to"] for entry in sandbox.log()] == ["+81312345678"]
    until(lambda: [one.code for one in holdups(batch)] == ["quiet_hours"], lambda: holdups(batch))
    calls = BatchHistogram.objects.filter(batch=batch, measure="calls").values_list("count", flat=True)
    assert sum(calls) == 1
