from __future__ import annotations

import socket
import threading
from typing import Any
from urllib.parse import parse_qsl

import pytest

from providers.base import ErrorCategory, Limits, ProviderError, SentMessage, TextMessage
from providers.sandbox.signing import twilio_signature as signature
from providers.sms.twilio import Twilio
from tests.providers.raw_answers import RawServer, answering, json_response, read_request
from tests.sandbox_fixture import SandboxServer


def send(url: str, to: str = "+491701234567", body: str = "Hello", **options: Any) -> SentMessage:
    twilio = Twilio(
        alias="twilio",
        base_url=f"{url}/twilio",
        key="token",
        limits=Limits(),
        account="AC1",
        **{"sender": "+15005550006", **options},
    )
    return twilio.send(TextMessage(to=to, body=body, reference="attempt/1", timeout_seconds=5))


def test_a_message_is_sent(sandbox: SandboxServer) -> None:
    sent = send(sandbox.url, body="ж" * 71)
    assert sent.provider_reference.startswith("SM")
    assert (sent.status, sent.segments) == ("queued", 2)
    (entry,) = sandbox.log()
    assert (entry["to"], entry["reference"], entry["status"]) == ("+491701234567", "attempt/1", 201)
    assert entry["path"] == "/twilio/2010-04-01/Accounts/AC1/Messages.json"


def test_a_messaging_service_can_be_the_sender(raw_server: RawServer) -> None:
    seen: list[bytes] = []
    body = {"sid": "SM1", "status": "accepted", "num_segments": "0"}
    url = raw_server(answering(json_response(body, 201), seen=seen))
    assert send(url, sender="MG1") == SentMessage(provider_reference="SM1", status="accepted")
    assert b"MessagingServiceSid=MG1" in seen[0] and b"From=" not in seen[0]


@pytest.mark.parametrize(
    ("to", "code", "of_provider"),
    [
        ("+15005550001", "21211", False),
        ("+15005550002", "21612", True),
        ("+15005550003", "21408", True),
        ("+15005550004", "21610", False),
        ("+15005550009", "21614", False),
        ("+1", "21211", False),
    ],
)
def test_numbers_that_cannot_be_reached(sandbox: SandboxServer, to: str, code: str, of_provider: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        send(sandbox.url, to=to)
    assert (caught.value.code, caught.value.permanent, caught.value.surely_not_sent) == (code, True, True)
    assert caught.value.of_provider is of_provider, "whether another provider may reach it"
    assert sandbox.log()[0]["accepted"] is False


def test_an_opt_out_is_about_content(sandbox: SandboxServer) -> None:
    with pytest.raises(ProviderError, match="twilio answered 400: the recipient has opted out") as caught:
        send(sandbox.url, to="+15005550004")
    assert caught.value.category is ErrorCategory.CONTENT


@pytest.mark.parametrize(("body", "code"), [("", "21602"), ("x" * 1601, "21617")])
def test_texts_that_cannot_be_sent(sandbox: SandboxServer, body: str, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        send(sandbox.url, body=body)
    assert (caught.value.code, caught.value.permanent) == (code, True)


@pytest.mark.parametrize(
    ("status", "code", "permanent", "surely_not_sent"),
    [
        (429, 20429, False, True),
        (400, 21611, False, True),
        (400, 14107, False, True),
        (400, 35118, True, True),
        (400, 99999, True, True),
        (500, 20500, False, False),
        (500, 21211, False, False),
        (503, 20503, False, False),
    ],
)
def test_codes(raw_server: RawServer, status: int, code: int, permanent: bool, surely_not_sent: bool) -> None:
    body = {"code": code, "message": "+491701234567", "status": status}
    with pytest.raises(ProviderError) as caught:
        send(raw_server(answering(json_response(body, status))))
    error = caught.value
    assert (error.code, error.permanent, error.surely_not_sent) == (str(code), permanent, surely_not_sent)


def test_receipts_come_back_signed_and_carry_our_reference(sandbox: SandboxServer, raw_server: RawServer) -> None:
    receipts: list[bytes] = []
    both = threading.Event()

    def receive(connection: socket.socket) -> None:
        receipts.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        if len(receipts) == 2:
            both.set()

    callback = raw_server(receive) + "/receipts?kind=sms"
    sent = send(sandbox.url, receipts_url=callback)
    assert both.wait(5)
    statuses = set()
    for receipt in receipts:
        head, _, body = receipt.partition(b"\r\n\r\n")
        fields = dict(parse_qsl(body.decode()))
        signed = signature("token", f"{callback}&reference=attempt%2F1", fields)
        assert head.startswith(b"POST /receipts?kind=sms&reference=attempt%2F1 HTTP/1.1")
        assert f"X-Twilio-Signature: {signed}".encode() in head
        assert fields["MessageSid"] == sent.provider_reference
        statuses.add(fields["MessageStatus"])
    assert statuses == {"sent", "delivered"}
