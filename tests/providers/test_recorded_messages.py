"""What each adapter of messages sends, to the last field, and what it makes of what its provider documents.

Answers, errors, the codes of receipts and the states of messages: the wire reference's words, not the sandbox's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest

from providers.base import ErrorCategory, Limits, ProviderError, TextMessage
from providers.sms.adapter import SmsAdapter
from providers.sms.plivo import Plivo
from providers.sms.twilio import Twilio
from providers.sms.vonage import Vonage
from tests.providers.batch_adapters import KEY
from tests.providers.raw_answers import RawServer, answering, json_response, taken_apart

BUDGET, RATE, SERVER = ErrorCategory.BUDGET, ErrorCategory.RATE_LIMIT, ErrorCategory.SERVER
INVALID, KEYS, ABSENT = ErrorCategory.INVALID_REQUEST, ErrorCategory.AUTHENTICATION, ErrorCategory.NOT_FOUND

MESSAGE = TextMessage(
    to="+491701234567", body="Grüße & {€}", reference="attempt/1", timeout_seconds=5, validity_seconds=600
)
RECEIPTS = "https://batches.example.com/api/receipts/x"
WITH_REFERENCE = f"{RECEIPTS}?reference=attempt%2F1"
BASIC = {"authorization": "Basic QUMxOmEtdmVyeS1zZWNyZXQta2V5"}


@dataclass(frozen=True)
class Sending:
    """A provider of messages' side of one exchange."""

    path: str
    body: Mapping[str, Any]
    status: int
    answer: Mapping[str, Any]
    reference: str


SENDINGS: dict[type[SmsAdapter], Sending] = {
    Twilio: Sending(
        path="/2010-04-01/Accounts/AC1/Messages.json",
        body={
            "To": "+491701234567",
            "From": "+14155550100",
            "Body": "Grüße & {€}",
            "StatusCallback": WITH_REFERENCE,
            "ValidityPeriod": "600",
        },
        status=201,
        answer={
            "sid": "SM0123456789abcdef0123456789abcdef",
            "status": "queued",
            "num_segments": "1",
            "price": None,
            "error_code": None,
            "error_message": None,
            "date_created": "Sat, 21 Nov 2026 12:00:00 +0000",
        },
        reference="SM0123456789abcdef0123456789abcdef",
    ),
    Vonage: Sending(
        path="/v1/messages",
        body={
            "channel": "sms",
            "message_type": "text",
            "to": "491701234567",
            "from": "14155550100",
            "text": "Grüße & {€}",
            "client_ref": "attempt/1",
            "sms": {"encoding_type": "auto"},
            "webhook_url": RECEIPTS,
            "ttl": 600,
        },
        status=202,
        answer={"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"},
        reference="aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab",
    ),
    Plivo: Sending(
        path="/v1/Account/AC1/Message/",
        body={
            "src": "+14155550100",
            "dst": "+491701234567",
            "text": "Grüße & {€}",
            "type": "sms",
            "url": WITH_REFERENCE,
            "method": "POST",
            "message_expiry": 600,
        },
        status=202,
        answer={"message": "message(s) queued", "message_uuid": ["db3ce55a-7f1d-11e1-8ea7"], "api_id": "db342550"},
        reference="db3ce55a-7f1d-11e1-8ea7",
    ),
}


def sms(kind: type[SmsAdapter], url: str) -> SmsAdapter:
    own: dict[str, Any] = {"account": "AC1", "sender": "+14155550100", "key": KEY, "limits": Limits()}
    return kind(alias="x", base_url=url, receipts_url=RECEIPTS, signature_secret="s", **own)


@pytest.mark.parametrize("kind", list(SENDINGS), ids=lambda kind: kind.__name__)
def test_a_message_is_spelled_as_its_provider_does(kind: type[SmsAdapter], raw_server: RawServer) -> None:
    wire, seen = SENDINGS[kind], list[bytes]()
    sent = sms(kind, raw_server(answering(json_response(wire.answer, wire.status), seen=seen))).send(MESSAGE)
    request, headers, body = taken_apart(seen[0])
    assert request == f"POST {wire.path}"
    assert BASIC.items() <= headers.items()
    if kind is Twilio:
        assert headers["content-type"] == "application/x-www-form-urlencoded"
        assert dict(parse_qsl(body.decode())) == wire.body
    else:
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == wire.body
    assert (sent.provider_reference, sent.segments) == (wire.reference, 1)


TWILIO_PERMANENT = [
    (400, ABSENT, (20404,)),
    (401, KEYS, (20003, 20005, 90010)),
    (400, INVALID, (21211, 21214, 21217, 21604, 21612, 21614, 21635, 21212, 21603, 21606, 21607, 21608)),
    (400, INVALID, (21703, 21704, 21705, 21602, 21617, 21620, 21408, 21609, 35100, 35115, 35118)),
    (400, ErrorCategory.CONTENT, (21610,)),
]
VONAGE_PERMANENT = [
    (401, KEYS, ("", "1080")),
    (402, BUDGET, ("1070",)),
    (422, INVALID, ("1020", "1050", "1120", "1150", "1160", "1240", "1250", "1330")),
]


def problem(code: str) -> dict[str, Any]:
    where = f"https://developer.vonage.com/api-errors{f'/messages#{code}' if code else '#unauthorized'}"
    return {"type": where, "title": "Words.", "detail": "+491701234567", "instance": "i"}


MESSAGE_ERRORS: list[tuple[type[SmsAdapter], int, Any, ErrorCategory, bool, bool]] = [
    *(
        (Twilio, status, {"code": code, "message": "Words.", "more_info": "", "status": status}, category, True, True)
        for status, category, codes in TWILIO_PERMANENT
        for code in codes
    ),
    *(
        (Twilio, status, {"code": code, "message": "Words.", "status": status}, category, False, surely)
        for status, code, category, surely in (
            (429, 20429, RATE, True),
            (500, 20500, SERVER, False),
            (503, 20503, SERVER, False),
            (400, 14107, RATE, True),
            (400, 21611, RATE, True),
        )
    ),
    *(
        (Vonage, status, problem(code), category, True, True)
        for status, category, codes in VONAGE_PERMANENT
        for code in codes
    ),
    (Vonage, 429, problem("1010"), RATE, False, True),
    (Vonage, 500, problem("1000"), SERVER, False, False),
    (Plivo, 400, {"api_id": "a", "error": "Words."}, INVALID, True, True),
    (Plivo, 401, {"api_id": "a", "error": "Words."}, KEYS, True, True),
    (Plivo, 402, {"api_id": "a", "error": "Words."}, BUDGET, True, True),
    (Plivo, 404, {"api_id": "a", "error": "Words."}, ABSENT, True, True),
    (Plivo, 429, {"api_id": "a", "error": "Words."}, RATE, False, True),
    (Plivo, 500, {"api_id": "a", "error": "Words."}, SERVER, False, False),
]


@pytest.mark.parametrize(("kind", "status", "body", "category", "permanent", "surely"), MESSAGE_ERRORS)
def test_every_error_of_the_reference_about_a_message(
    kind: type[SmsAdapter],
    status: int,
    body: Any,
    category: ErrorCategory,
    *,
    permanent: bool,
    surely: bool,
    raw_server: RawServer,
) -> None:
    with pytest.raises(ProviderError) as caught:
        sms(kind, raw_server(answering(json_response(body, status)))).send(MESSAGE)
    error = caught.value
    assert (error.category, error.permanent, error.surely_not_sent) == (category, permanent, surely)
    assert "Words" not in str(error) and "491701234567" not in str(error)


TWILIO_DELIVERIES = {
    True: (30001, 30003, 30008, 30017, 30020, 30021, 30022, 30023, 30027, 30450),
    False: (30002, 30004, 30005, 30006, 30007, 30018, 30024, 30032, 30034, 30410),
}


@pytest.mark.parametrize(
    ("kind", "passing", "codes"),
    [
        *((Twilio, passing, codes) for passing, codes in TWILIO_DELIVERIES.items()),
        (Vonage, True, (2, 7, 8)),
        (Vonage, False, (1, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14)),
        (Plivo, True, (20,)),
        (Plivo, False, (10, 30, 40, 50, 450)),
    ],
)
def test_every_code_of_a_receipt(kind: type[SmsAdapter], *, passing: bool, codes: tuple[int, ...]) -> None:
    provider = sms(kind, "http://127.0.0.1:9")
    for code in codes:
        fault = provider.delivery_fault(str(code))
        assert fault.passing is passing, code
        assert str(code) in provider.delivery_faults, f"{code} has no words of its own"


STATES: Mapping[type[SmsAdapter], Mapping[str | None, str]] = {
    Twilio: {
        None: "accepted scheduled queued sending receiving received",
        "sent": "sent partially_delivered",
        "delivered": "delivered read",
        "undelivered": "undelivered failed canceled",
    },
    Vonage: {
        None: "unknown",
        "sent": "submitted accepted buffered",
        "delivered": "delivered",
        "undelivered": "rejected undeliverable expired failed",
    },
    Plivo: {
        None: "queued",
        "sent": "sent",
        "delivered": "delivered read",
        "undelivered": "undelivered failed rejected",
    },
}


@pytest.mark.parametrize("kind", list(STATES), ids=lambda kind: kind.__name__)
def test_every_state_of_a_message(kind: type[SmsAdapter]) -> None:
    for state, words in STATES[kind].items():
        assert {kind.deliveries.get(word) for word in words.split()} == {state}
