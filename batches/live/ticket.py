"""One-minute tickets: what a browser puts into the address of its socket instead of a key.

Addresses end up in histories and proxies' logs; a ticket that is read there is worth nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.signing import BadSignature, TimestampSigner
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView, user_id
from batches.models import ApiKey

TICKET_SECONDS = 60
_signer = TimestampSigner(salt="batches.live.ticket")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whom a ticket stands for; ``key_id`` when it was got with an API key, whose revocation ends it too."""

    user_id: int
    key_id: int | None = None


def issue(ticket: Ticket) -> str:
    """The signed text of a ticket."""
    return _signer.sign_object({"user": ticket.user_id, "key": ticket.key_id})


def redeem(text: str) -> Ticket | None:
    """The ticket, or ``None`` when it is not one of ours or more than a minute old."""
    try:
        claims = _signer.unsign_object(text, max_age=TICKET_SECONDS)
        return Ticket(user_id=int(claims["user"]), key_id=claims["key"])
    except (BadSignature, ValueError, KeyError, TypeError):
        return None


class TicketView(ApiView):
    """``POST /api/ws-ticket``."""

    only_reads = True

    def post(self, request: Request) -> Response:
        """A ticket for the caller."""
        key_id = request.auth.pk if isinstance(request.auth, ApiKey) else None
        ticket = issue(Ticket(user_id=user_id(request), key_id=key_id))
        answer = Response({"success": True, "ticket": ticket, "expiresIn": TICKET_SECONDS})
        answer["Cache-Control"] = "no-store"
        return answer
