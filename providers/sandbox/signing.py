"""How the fake providers sign what they post. Apart from the code that checks it: that would agree with itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from providers.sandbox.receipts import Post

FORM = "application/x-www-form-urlencoded"


def twilio_signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form post: HMAC-SHA1 over the URL and the fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def twilio_post(token: str, url: str, fields: Mapping[str, str]) -> Post:
    """A form with Twilio's header."""
    headers = {"Content-Type": FORM, "X-Twilio-Signature": twilio_signature(token, url, fields)}
    return Post(url, urlencode(fields).encode(), headers)


def vonage_post(secret: str, url: str, document: Mapping[str, object]) -> Post:
    """A JSON document with the token that the Messages API puts beside it."""
    body = json.dumps(document).encode()
    claims = {
        "iss": "Vonage",
        "iat": int(time.time()),
        "jti": secrets.token_hex(16),
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    token = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    return Post(url, body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})


def _part(content: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def plivo_post(token: str, url: str, fields: Mapping[str, str]) -> Post:
    """A form with both of Plivo's headers."""
    nonce = secrets.token_hex(10)
    bare, _, _ = url.partition("?")
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(urlsplit(url).query)))
    joined = "".join(name + value for name, value in sorted(fields.items()))
    version_3 = f"{bare}?{query}.{joined}.{nonce}" if query else f"{bare}?{joined}.{nonce}"
    headers = {
        "Content-Type": FORM,
        "X-Plivo-Signature-V2-Nonce": nonce,
        "X-Plivo-Signature-V3-Nonce": nonce,
        "X-Plivo-Signature-V2": _plivo_signature(token, bare + nonce),
        "X-Plivo-Signature-V3": _plivo_signature(token, version_3),
    }
    return Post(url, urlencode(fields).encode(), headers)


def _plivo_signature(token: str, signed: str) -> str:
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest()).decode()
