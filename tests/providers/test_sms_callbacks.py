"""What providers tell unasked: whose word it is, and what is read out of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from hypothesis import strategies as st

from batches.states import Delivery
from providers.base import Limits
from providers.sandbox.receipts import Post
from providers.sandbox.signing import plivo_post, twilio_post, vonage_post
from providers.sms.adapter import SmsAdapter
from providers.sms.callbacks import Callback, DeliveryState, Malformed, Receipt
from providers.sms.keywords import Wish, keyword_of, wish_of
from providers.sms.plivo import Plivo
from providers.sms.signatures import (
    plivo_signature_v2,
    plivo_signature_v3,
    twilio_signature,
    vonage_signature,
    with_and_without_port,
)
from providers.sms.twilio import Twilio
from providers.sms.vonage import Vonage

SECRET = "a secret"
ATTEMPT = "0b1f5c2e-8a35-4c35-9d0f-3a6f0f6a9d11"
URL = f"https://example.com/api/receipts/x?reference={ATTEMPT}"
FORM = "application/x-www-form-urlencoded"


def adapter(kind: type[SmsAdapter], **options: Any) -> SmsAdapter:
    common: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "key": SECRET, "limits": Limits(), "account": "AC1"}
    return kind(alias="x", sender="+15005550006", uses_sandbox=True, **common, **options)


def callback(post: Post, method: str = "POST", **changes: Any) -> Callback:
    headers = {name.lower(): value for name, value in post.headers.items()}
    fields: dict[str, Any] = {"method": method, "url": post.url, "headers": headers, "body": post.body}
    return Callback(**{**fields, **changes})


TWILIO = twilio_post(SECRET, URL, {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"})
VONAGE = vonage_post(
    SECRET,
    "https://example.com/api/receipts/x",
    {
        "message_uuid": "u-1",
        "status": "undeliverable",
        "client_ref": ATTEMPT,
        "error": {"type": "https://developer.vonage.com/api-errors/messages#1250"},
    },
)
PLIVO = plivo_post(SECRET, URL, {"MessageUUID": "p-1", "Status": "undelivered", "ErrorCode": "50"})
ALL = [(Twilio, TWILIO, "SM1", "30003"), (Vonage, VONAGE, "u-1", "1250"), (Plivo, PLIVO, "p-1", "50")]


@pytest.mark.parametrize(("kind", "post", "reference", "code"), ALL)
def test_a_receipt_is_read(kind: type[SmsAdapter], post: Post, reference: str, code: str) -> None:
    provider = adapter(kind)
    genuine = callback(post)
    assert provider.is_genuine(genuine)
    receipt = provider.read_receipt(genuine)
    assert (receipt.provider_reference, receipt.reference, receipt.error_code) == (reference, ATTEMPT, code)
    assert provider.deliveries[receipt.status] is DeliveryState.UNDELIVERED
    assert provider.delivery_fault(code).words


@pytest.mark.parametrize(("kind", "post", "reference", "code"), ALL)
def test_what_was_changed_or_signed_by_another_is_no_receipt(
    kind: type[SmsAdapter], post: Post, reference: str, code: str
) -> None:
    provider = adapter(kind)
    changed = post.body.replace(reference.encode(), b"other")
    unsigned = {"content-type": post.headers["Content-Type"]}
    assert changed != post.body
    without_v2 = {
        name.lower(): value for name, value in post.headers.items() if "V2" not in name
    }  # which signs the address alone
    assert not provider.is_genuine(callback(post, body=changed, headers=without_v2))
    assert not provider.is_genuine(callback(post, headers=unsigned))
    assert not provider.is_genuine(callback(post.forged()))
    other = kind(**{**_options(), "key": "another secret"})
    assert not other.is_genuine(callback(post))


def _options() -> dict[str, Any]:
    common: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "limits": Limits(), "account": "AC1"}
    return {"alias": "x", "sender": "+15005550006", "uses_sandbox": True, **common}


@pytest.mark.parametrize(("kind", "post", "reference", "code"), ALL)
def test_a_signature_for_one_address_is_none_for_another(
    kind: type[SmsAdapter], post: Post, reference: str, code: str
) -> None:
    moved = callback(post, url="https://example.com/api/inbound/x")
    assert adapter(kind).is_genuine(moved) is (kind is Vonage)  # whose token signs the body alone


def test_what_twilio_documents() -> None:
    """The example of its own documentation."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature("12345", url, fields.items(), "sha1") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://a.b/x?y=1", "https://a.b:443/x?y=1"),
        ("http://a.b/x", "http://a.b:80/x"),
        ("https://a.b:8443/x", "https://a.b/x"),
        ("http://[::1]:80/x", "http://[::1]/x"),
    ],
)
def test_twilio_signs_with_or_without_the_port(url: str, other: str) -> None:
    assert with_and_without_port(url) == (url, other)
    post = twilio_post(SECRET, other, {"MessageSid": "SM1", "MessageStatus": "sent"})
    assert adapter(Twilio).is_genuine(callback(post, url=url))


def test_twilio_signs_with_a_shared_key_as_well() -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": "sent"}
    signed = twilio_signature("shared", URL, fields.items(), "sha256")
    headers = {
        "content-type": FORM,
        "x-twilio-signature": signed,
        "x-twilio-webhooks-signature-settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
    }
    told = Callback("POST", URL, headers, urlencode(fields).encode())
    assert adapter(Twilio, signature_secret="shared").is_genuine(told)
    assert not adapter(Twilio).is_genuine(told)
    headers["x-twilio-webhooks-signature-settings"] = "key=1,algorithm=NONE"
    assert not adapter(Twilio, signature_secret="shared").is_genuine(told)


def test_a_body_that_is_no_form_needs_its_digest_in_twilios_address() -> None:
    body = b'{"MessageSid": "SM1", "MessageStatus": "sent"}'
    headers = {"content-type": "application/json"}

    def told(url: str) -> Callback:
        return Callback("POST", url, headers | {"x-twilio-signature": twilio_signature(SECRET, url, [], "sha1")}, body)

    assert not adapter(Twilio).is_genuine(told(URL))
    assert adapter(Twilio).is_genuine(told(f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"))
    assert not adapter(Twilio).is_genuine(told(f"{URL}&bodySHA256={hashlib.sha256(b'other').hexdigest()}"))


@pytest.mark.parametrize("digest", ["md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_vonages_older_receipts(digest: str, method: str) -> None:
    fields = {"messageId": "0A1", "status": "delivered", "err-code": "0", "client-ref": ATTEMPT, "scts": "a&b=c"}
    signed = hmac.new(
        SECRET.encode(),
        f"&client-ref={ATTEMPT}&err-code=0&messageId=0A1&scts=a_b_c&status=delivered".encode(),
        digest,
    ).hexdigest()
    assert vonage_signature(SECRET, fields, digest) == signed
    encoded = urlencode(fields | {"sig": signed.upper()})
    url = "https://example.com/api/receipts/x"
    body = encoded.encode() if method == "POST" else b""
    told = Callback(method, url if body else f"{url}?{encoded}", {"content-type": FORM} if body else {}, body)
    provider = adapter(Vonage)
    assert provider.is_genuine(told)
    receipt = provider.read_receipt(told)
    assert receipt == Receipt("0A1", "delivered", ATTEMPT, "")


def test_vonage_tokens_are_of_one_kind_and_of_their_body() -> None:
    provider = adapter(Vonage)
    head, claims, signed = VONAGE.headers["Authorization"].removeprefix("Bearer ").split(".")
    none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    for token in (
        f"{none}.{claims}.",
        f"{none}.{claims}.{signed}",
        f"{head}.{claims}",
        "x",
        "..",
        f"{head}.é.{signed}",
    ):
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        assert not provider.is_genuine(callback(VONAGE, headers=headers))
    assert not provider.is_genuine(callback(VONAGE, body=b""))
    assert not Vonage(**{**_options(), "key": SECRET, "uses_sandbox": False}).can_check_signatures
    assert Vonage(
        **{**_options(), "key": "x", "uses_sandbox": False, "signature_secret": SECRET, "receipts_url": URL}
    ).is_genuine(callback(VONAGE))


def test_each_of_plivos_signatures_will_do() -> None:
    provider = adapter(Plivo)
    for version in ("V2", "V3"):
        headers = {name.lower(): value for name, value in PLIVO.headers.items() if version in name or name[0] == "C"}
        assert provider.is_genuine(callback(PLIVO, headers=headers))
    assert plivo_signature_v2(SECRET, "https://a.b/c?d=1", "n") == plivo_signature_v2(SECRET, "https://a.b/c", "n")
    assert plivo_signature_v3(SECRET, "https://a.b/c?d=1", [], "n") != plivo_signature_v3(
        SECRET, "https://a.b/c", [], "n"
    )


def test_words_of_providers_mean_what_the_engine_calls_them() -> None:
    assert {str(state) for state in DeliveryState} == set(Delivery.values)


# --- Hostile ones, rightly signed

ODD = ["", "\x00", "a\x00b", "\ud800", "x" * 5000, "<script>", "é", " ", "-" * 200, "1" * 101]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["provider_reference", "status"])
def test_what_names_no_message_or_state_is_refused(field: str, odd: str) -> None:
    fields = {"provider_reference": "SM1", "status": "sent", "reference": "", "error_code": "", field: odd}
    with pytest.raises(Malformed):
        Receipt.read(**fields)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_reference_or_code_is_none(odd: str) -> None:
    receipt = Receipt.read(provider_reference="SM1", status="Sent", reference=odd, error_code=odd)
    assert receipt == Receipt("SM1", "sent", "", receipt.error_code)
    assert len(receipt.error_code) <= 32 and receipt.error_code.isascii()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["message_uuid", "status", "client_ref", "error", "from", "msisdn", "text", "messageId", "sig"])


@hypothesis.given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_signed_document_is_read_or_refused(document: Mapping[str, Any]) -> None:
    provider = adapter(Vonage)
    told = callback(vonage_post(SECRET, "https://example.com/api/receipts/x", document))
    for read in (provider.read_receipt, provider.read_inbound):
        try:
            found = read(told)
        except Malformed:
            continue
        if isinstance(found, Receipt):
            assert "\x00" not in repr(found) and len(found.provider_reference) <= 100


@pytest.mark.parametrize("body", [b"[]", b"{", b"null", b"1", b"\xff\xfe", b"[" * 100_000, b'"x"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    told = Callback("POST", URL, {"content-type": "application/json"}, body)
    with pytest.raises(Malformed):
        adapter(Vonage).read_receipt(told)


def test_too_many_fields_are_refused() -> None:
    told = Callback("POST", URL, {"content-type": FORM}, b"&".join(b"a%d=1" % number for number in range(300)))
    with pytest.raises(Malformed):
        adapter(Twilio).read_receipt(told)


# --- What people write


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("STOP", Wish.STOP),
        ("  stop \n", Wish.STOP),
        ("Stop.", Wish.STOP),
        ("stop  all", Wish.STOP),
        ("Arrêt", Wish.STOP),
        ("unsubscribe", Wish.STOP),
        ("START", Wish.START),
        ("yes", Wish.START),
        ("Please stop", None),
        ("STOP IT NOW", None),
        ("HELP", None),
        ("", None),
        ("\ud800", None),
        ("x" * 100_000, None),
    ],
)
def test_keywords(text: str, wish: Wish | None) -> None:
    assert wish_of(keyword_of(text)) is wish


def test_inbound_texts_of_each_provider() -> None:
    fields = {"from": "+14155552671", "to": "+15005550006", "text": "Stop"}
    twilio = twilio_post(
        SECRET, URL, {"From": fields["from"], "To": fields["to"], "Body": "Arrete", "OptOutType": "STOP"}
    )
    vonage = vonage_post(SECRET, URL, {"from": "14155552671", "text": "Stop", "message_uuid": "u"})
    plivo = plivo_post(SECRET, URL, {"From": "14155552671", "Text": "Stop"})
    for kind, post in ((Twilio, twilio), (Vonage, vonage), (Plivo, plivo)):
        inbound = adapter(kind).read_inbound(callback(post))
        assert (inbound.sender, keyword_of(inbound.text)) == ("+14155552671", "STOP")
    named = vonage_post(SECRET, URL, {"from": "SOMESHOP", "text": "Stop"})
    with pytest.raises(Malformed):
        adapter(Vonage).read_inbound(callback(named))
