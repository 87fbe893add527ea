"""How providers of messages sign what they tell us. Every comparison takes the same time, whatever differs."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, urlsplit

import orjson

Pairs = Iterable[tuple[str, str]]

DIGESTS_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Vonage signs with the digest that its account is set to, and does not say with which."""


def is_same(computed: str, given: str) -> bool:
    """Compare two signatures; what is no ASCII is none."""
    return hmac.compare_digest(computed.encode(), given.encode("utf-8", "replace"))


def twilio_signature(secret: str, url: str, form: Pairs, digest: str) -> str:
    """Base64 of the HMAC over the address and the form's fields, each value once, sorted, without any separator."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return _base64_hmac(secret, signed, digest)


def with_and_without_port(url: str) -> tuple[str, ...]:
    """The address in both spellings: Twilio signs sometimes one and sometimes the other."""
    address = urlsplit(url)
    host = address.netloc.rpartition("@")[2]
    try:
        port = address.port
    except ValueError:  # whoever asked for it made it up
        return (url,)
    usual = f"{host}:{443 if address.scheme == 'https' else 80}"
    other = usual if port is None else host.rpartition(":")[0]
    return url, address._replace(netloc=other).geturl()


def vonage_signature(secret: str, fields: Mapping[str, str], digest: str) -> str:
    """Hex of the HMAC over ``&name=value`` of the sorted fields but ``sig``; what would divide them is replaced."""
    signed = "".join(f"&{name}={_undivided(fields[name])}" for name in sorted(fields) if name != "sig")
    return hmac.new(secret.encode(), signed.encode("utf-8", "replace"), digest).hexdigest()


def _undivided(value: str) -> str:
    return value.replace("&", "_").replace("=", "_")


def is_signed_token(token: str, secret: str, body: bytes) -> bool:
    """Whether a JSON web token (HS256 alone) is of this secret and of this body."""
    head, _, rest = token.partition(".")
    claims, _, given = rest.partition(".")
    try:
        header, payload = orjson.loads(_decoded(head)), orjson.loads(_decoded(claims))
        computed = hmac.new(secret.encode(), f"{head}.{claims}".encode(), "sha256").digest()
        genuine = hmac.compare_digest(computed, _decoded(given))
    except ValueError:
        return False
    if not genuine or not isinstance(header, dict) or header.get("alg") != "HS256" or not isinstance(payload, dict):
        return False
    return is_same(hashlib.sha256(body).hexdigest(), str(payload.get("payload_hash")).lower())


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def plivo_signature_v2(secret: str, url: str, nonce: str) -> str:
    """Base64 of the HMAC over the address without its query, and the nonce."""
    return _base64_hmac(secret, urlsplit(url)._replace(query="", fragment="").geturl() + nonce, "sha256")


def plivo_signature_v3(secret: str, url: str, form: Pairs, nonce: str) -> str:
    """Base64 of the HMAC over the address with its query sorted, the sorted fields, and the nonce."""
    address = urlsplit(url)
    query = parse_qs(address.query, keep_blank_values=True)
    sorted_query = "&".join(f"{name}={value}" for name in sorted(query) for value in sorted(query[name]))
    fields = "".join(name + value for name, value in sorted(form))
    signed = address._replace(query="", fragment="").geturl()
    if sorted_query or fields:
        signed += f"?{sorted_query}"
    if sorted_query and fields:
        signed += "."
    return _base64_hmac(secret, f"{signed}{fields}.{nonce}", "sha256")


def _base64_hmac(secret: str, signed: str, digest: str) -> str:
    return b64encode(hmac.new(secret.encode(), signed.encode("utf-8", "replace"), digest).digest()).decode()
