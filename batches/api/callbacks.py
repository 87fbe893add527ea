"""What providers of messages call: delivery receipts, and what people answer. The signature is the only proof there is.

A body is read to a small limit, checked, and forgotten: neither a number nor a text of it reaches a log or an error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound, ParseError, PermissionDenied
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from batches.api.base import AlwaysJSON
from batches.api.errors import BodyTooLarge
from batches.events import announce_facts
from batches.provider_accounts.accounts import known_provider
from batches.provider_accounts.credentials import look_again
from batches.text_messages import opt_outs, receipts
from providers.registry import why_no_receipts
from providers.sms.adapter import SmsAdapter
from providers.sms.callbacks import Callback, Malformed

LARGEST_BODY = 64 * 1024


class CallbackView(APIView, ABC):
    """A request signed by a provider. Whoever signed nothing, or wrongly, gets a 403 and leaves no trace."""

    authentication_classes: tuple[type[BaseAuthentication], ...] = ()
    permission_classes: tuple[type[BasePermission], ...] = (AllowAny,)
    content_negotiation_class = AlwaysJSON

    def post(self, request: Request, alias: str) -> Response:
        """Check and take it; 204 is all that a provider wants to hear."""
        look_again()
        provider = receipts.sms_provider(alias)
        if provider is None:
            raise NotFound("No provider of this name sends callbacks.")
        callback = callback_of(request)
        try:
            if not (provider.can_check_signatures and provider.is_genuine(callback)):
                raise PermissionDenied("The signature is missing or wrong.", code="invalid_signature")
            self.take(provider, callback)
        except Malformed as fault:
            raise ParseError(f"The callback cannot be read: {fault}") from None
        return Response(status=204)

    get = post

    @abstractmethod
    def take(self, provider: SmsAdapter, callback: Callback) -> None:
        """Do what it says. Raises :class:`Malformed`."""


class ReceiptView(CallbackView):
    """``/api/receipts/{alias}``."""

    def take(self, provider: SmsAdapter, callback: Callback) -> None:
        """Keep the receipt; its batch is announced only where an item that was in doubt is settled by it."""
        announce_facts(receipts.receive(provider.alias, provider.read_receipt(callback)))


class InboundView(CallbackView):
    """``/api/inbound/{alias}``."""

    def take(self, provider: SmsAdapter, callback: Callback) -> None:
        """Hear a STOP or a START; anything else is nobody's business."""
        inbound = provider.read_inbound(callback)
        opt_outs.hear(provider.alias, inbound.sender, inbound.text)


def callback_of(request: Request) -> Callback:
    """The request as its sender signed it: its address is the public one, whatever a proxy made of it."""
    raw = request._request
    announced = raw.META.get("CONTENT_LENGTH") or ""
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        raise BodyTooLarge
    body = raw.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise BodyTooLarge
    base = settings.PUBLIC_URL.rstrip("/") or f"{raw.scheme}://{raw.get_host()}"
    query = raw.META.get("QUERY_STRING") or ""
    headers = {name.lower(): value for name, value in raw.headers.items()}
    return Callback(raw.method or "", f"{base}{raw.path}{'?' if query else ''}{query}", headers, body)


def callbacks_shape(alias: str) -> dict[str, Any] | None:
    """What ``GET /api/providers`` says of receipts; None for what sends no messages, or cannot be used."""
    provider = known_provider(alias)
    if not isinstance(provider, SmsAdapter):
        return None
    base = settings.PUBLIC_URL.rstrip("/")
    return {
        "receipts": bool(provider.receipts_url),
        "inboundUrl": f"{base}/api/inbound/{alias}" if base else None,
        "why": why_no_receipts(provider),
    }
