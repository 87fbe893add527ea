"""Whatever a stranger sends to the addresses of callbacks, it is not genuine, and nothing breaks over it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Limits
from providers.sms.adapter import SmsAdapter
from providers.sms.callbacks import Callback, Malformed
from providers.sms.plivo import Plivo
from providers.sms.twilio import Twilio
from providers.sms.vonage import Vonage

every_kind = pytest.mark.parametrize("kind", [Twilio, Vonage, Plivo], ids=lambda kind: kind.__name__)

header_text = st.text(st.characters(max_codepoint=255), max_size=30)  # as servers decode headers
token = st.sampled_from(["eyJhbGciOiJIUzI1NiJ9", "e30", "W10", "bnVsbA", "", "ä", "=", "A"]) | header_text
tokens = st.builds(lambda *parts: f"Bearer {'.'.join(parts)}", token, token, token)
NAMES = (
    *("x-twilio-signature", "x-twilio-webhooks-signature-settings", "authorization", "x-plivo-signature-v2"),
    *("x-plivo-signature-v2-nonce", "x-plivo-signature-v3", "x-plivo-signature-v3-nonce"),
)
TYPES = ("application/json", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=x", "")
URLS = (
    "https://a.example/api/receipts/x",
    "https://a.example:99999/x?bodySHA256=0",
    "https://a.example:/x?sig=%FF%00&status=1",
    "http://[::1]/x?" + "a=1&" * 150,
    "http://a.example/x?sig=" + "0" * 64,
)
BODIES = (b"", b"{}", b"[]", b"null", b"\xff\xfe{", b"[" * 50_000, b"a=1&b=%FF", b"&&&", b"sig=" + b"0" * 128, b"=\x00")


def adapter(kind: type[SmsAdapter]) -> SmsAdapter:
    common: dict[str, Any] = {"alias": "x", "base_url": "http://127.0.0.1:9", "limits": Limits(), "account": "AC1"}
    return kind(sender="+15005550006", key="a-secret", signature_secret="another", **common)


@every_kind
@given(
    headers=st.dictionaries(st.sampled_from(NAMES), header_text | tokens),
    content_type=st.sampled_from(TYPES),
    request=st.tuples(st.sampled_from(["GET", "POST"]), st.sampled_from(URLS)),
    body=st.sampled_from(BODIES) | st.binary(max_size=60),
)
def test_nothing_made_up_is_genuine(
    kind: type[SmsAdapter], headers: dict[str, str], content_type: str, request: tuple[str, str], body: bytes
) -> None:
    told = Callback(*request, {**headers, "content-type": content_type}, body)
    provider = adapter(kind)
    with contextlib.suppress(Malformed):
        assert provider.is_genuine(told) is False
    for read in (provider.read_receipt, provider.read_inbound):
        with contextlib.suppress(Malformed):
            read(told)
