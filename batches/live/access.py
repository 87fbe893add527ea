"""Who may watch: API key, one-minute ticket or Django session, and whether that still holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from batches.live.ticket import redeem
from batches.models import ApiKey, Batch
from batches.states import Scope

LONGEST_TOKEN = 512


@dataclass(frozen=True, slots=True)
class Grant:
    """The right of a socket to one owner's progress, and what it rests on."""

    owner_id: int
    key_id: int | None = None
    session_key: str | None = None


def grant_of_token(token: str) -> Grant | None:
    """The grant of an API key or a ticket; ``None`` when it is neither, revoked or expired."""
    if not token or len(token) > LONGEST_TOKEN:
        return None
    key = ApiKey.objects.filter(digest=ApiKey.digest_of(token)).only("pk", "owner_id").first()
    if key is not None:
        grant = Grant(owner_id=key.owner_id, key_id=key.pk)
    elif (ticket := redeem(token)) is not None:
        grant = Grant(owner_id=ticket.user_id, key_id=ticket.key_id)
    else:
        return None
    return grant if grant in still_valid([grant]) else None


def grant_of_session(user_id: int, session_key: str | None) -> Grant | None:
    """The grant of a signed-in browser."""
    grant = Grant(owner_id=user_id, session_key=session_key)
    return grant if grant in still_valid([grant]) else None


def still_valid(grants: Iterable[Grant]) -> frozenset[Grant]:
    """Those of the grants that still hold: the user is active, the key not revoked, the session not signed out.

    Three queries for all sockets of a process, however many they are.
    """
    asked = frozenset(grants)
    users = get_user_model().objects.filter(pk__in={grant.owner_id for grant in asked}, is_active=True)
    active = frozenset(users.values_list("pk", flat=True))
    key_ids = {grant.key_id for grant in asked if grant.key_id is not None}
    keys = ApiKey.objects.filter(pk__in=key_ids, revoked_at=None, scopes__contains=[Scope.READ])
    owners = dict(keys.values_list("pk", "owner_id"))
    session_keys = {grant.session_key for grant in asked if grant.session_key is not None}
    alive = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    sessions = frozenset(alive.values_list("session_key", flat=True))
    return frozenset(
        grant
        for grant in asked
        if grant.owner_id in active
        and (grant.key_id is None or owners.get(grant.key_id) == grant.owner_id)
        and (grant.session_key is None or grant.session_key in sessions)
    )


def find_batch(owner_id: int, public_id: str) -> int | None:
    """The primary key of an owner's batch. Another owner's is not found."""
    if len(public_id) > 64 or "\0" in public_id:
        return None
    batches = Batch.objects.filter(public_id=public_id, owner_id=owner_id, deleted_at=None)
    return batches.values_list("pk", flat=True).first()


def owned(pairs: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Those of the pairs (batch, owner) that still are so."""
    asked = frozenset(pairs)
    found = Batch.objects.filter(pk__in={pk for pk, _ in asked}, deleted_at=None).values_list("pk", "owner_id")
    return asked & frozenset(found)


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether a browser's page is ours. Cookies travel across sites on WebSockets, so a session alone is no proof.

    As with forms, the page's host must be the one it called, or be named in ``CSRF_TRUSTED_ORIGINS``.
    """
    if not origin or not host:
        return False
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()
