"""Who is let in, who is refused and how, and who is sent away later."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.signing import TimestampSigner
from django.test import Client
from django.utils import timezone

from batches.live import relay, ticket
from batches.live.access import same_origin
from batches.live.redaction import QueryStringFilter
from batches.live.ticket import Ticket
from batches.models import ApiKey, Batch
from tests.live.conftest import Connect, make_batch

pytestmark = pytest.mark.django_db(transaction=True)

OURS = [(b"host", b"testserver"), (b"origin", b"http://testserver")]


def cookie_of(user: User) -> tuple[bytes, bytes]:
    client = Client()
    client.force_login(user)
    return (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())


@pytest.mark.parametrize("query", ["", "token=", "token=bsk_wrong", "token=a:b:c", "token=" + "x" * 5000, "token=%00"])
async def test_without_a_right_it_is_closed_with_a_code_that_scripts_see(connect: Connect, query: str) -> None:
    assert await (await connect(query)).closed() == 4401


@pytest.mark.parametrize("public_id", ["batch_0_unknown", "%00", "x" * 300])
async def test_an_unknown_batch_is_not_found(connect: Connect, token: str, public_id: str) -> None:
    assert await (await connect(f"token={token}&batch={public_id}")).closed() == 4404


async def test_anothers_batch_is_not_found(connect: Connect, bob: User, token: str) -> None:
    theirs = await sync_to_async(make_batch)(bob)
    assert await (await connect(f"token={token}&batch={theirs.public_id}")).closed() == 4404


async def test_a_revoked_key_is_refused(connect: Connect, alice: User, token: str) -> None:
    await ApiKey.objects.aupdate(revoked_at=timezone.now())
    assert await (await connect(f"token={token}")).closed() == 4401


async def test_a_ticket_lets_in_for_a_minute(connect: Connect, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    await sync_to_async(make_batch)(alice)
    text = ticket.issue(Ticket(user_id=alice.pk))
    await (await connect(f"token={text}")).until("batch:progress")
    monkeypatch.setattr(ticket, "TICKET_SECONDS", -1)
    assert await (await connect(f"token={text}")).closed() == 4401


async def test_a_ticket_signed_for_something_else_is_refused(connect: Connect, alice: User) -> None:
    text = TimestampSigner(salt="password reset").sign_object({"user": alice.pk, "key": None})
    assert await (await connect(f"token={text}")).closed() == 4401


async def test_a_session_lets_our_own_pages_in(connect: Connect, alice: User) -> None:
    await sync_to_async(make_batch)(alice)
    cookie = await sync_to_async(cookie_of)(alice)
    await (await connect(headers=[*OURS, cookie])).until("batch:progress")


@pytest.mark.parametrize("origin", [b"http://evil.example", b"null", b"http://testserver:81", None])
async def test_a_session_from_another_site_is_refused(connect: Connect, alice: User, origin: bytes | None) -> None:
    headers = [(b"host", b"testserver"), await sync_to_async(cookie_of)(alice)]
    if origin:
        headers.append((b"origin", origin))
    assert await (await connect(headers=headers)).closed() == 4401


async def test_a_token_needs_no_origin(connect: Connect, alice: User, token: str) -> None:
    await sync_to_async(make_batch)(alice)
    await (await connect(f"token={token}", headers=[(b"origin", b"http://app.example")])).until("batch:progress")


def test_trusted_origins_count_as_ours(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example"]
    assert same_origin("https://app.example", "api.example")
    assert not same_origin("https://other.example", "api.example")


async def test_whoever_loses_the_right_is_sent_away(
    connect: Connect, alice: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "RECHECK_SECONDS", 0.05)
    batch = await sync_to_async(make_batch)(alice)
    cookie = await sync_to_async(cookie_of)(alice)
    by_key, by_session = await connect(f"token={token}"), await connect(headers=[*OURS, cookie])
    by_batch = await connect(headers=[*OURS, cookie], query=f"batch={batch.public_id}")
    await ApiKey.objects.aupdate(revoked_at=timezone.now())
    assert await by_key.closed() == 4401
    await Batch.objects.all().adelete()
    assert await by_batch.closed() == 4404
    await User.objects.aupdate(is_active=False)
    assert await by_session.closed() == 4401


def test_the_ticket_endpoint_answers_with_a_ticket_bound_to_the_key(alice: User) -> None:
    key, secret = ApiKey.issue(owner_id=alice.pk, name="phone")
    answer = Client().post("/api/ws-ticket", headers={"authorization": f"Bearer {secret}"})
    assert (answer.json()["success"], answer.json()["expiresIn"]) == (True, 60)
    assert ticket.redeem(answer.json()["ticket"]) == Ticket(user_id=alice.pk, key_id=key.pk)


def test_nobody_gets_no_ticket(db: None) -> None:
    assert Client().post("/api/ws-ticket").status_code == 401


@pytest.mark.parametrize("text", ["", "x", "a:b:c", "\0"])
def test_junk_is_no_ticket(text: str) -> None:
    assert ticket.redeem(text) is None


def test_queries_are_never_logged() -> None:
    arguments = ("127.0.0.1:5", "/ws?token=secret")
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, '%s - "WebSocket %s" [accepted]', arguments, None)
    assert QueryStringFilter().filter(record)
    assert record.getMessage() == '127.0.0.1:5 - "WebSocket /ws" [accepted]'
