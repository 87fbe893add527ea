"""What belongs to an owner beside batches: notifications, audit trail, usage, API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from batches import audit
from batches.api.base import ApiView, body_of, choice_of, page_of, user_id
from batches.api.shapes import cost_shape, instant
from batches.api.throttling import OwnerThrottle
from batches.models import ApiKey, AuditEntry, Notification
from batches.operations.payload import Fields, Problems
from batches.problems import InvalidInput, Problem
from batches.states import Scope
from batches.usage import Used, total_cost, used_by

LONGEST_KEY_NAME = 100
USUAL_DAYS = 30
MOST_DAYS = 366
LARGEST_ID = 2**63 - 1


def row_id(text: str) -> int:
    """A row's number out of a path; what is none names no row."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID:
        return int(text)
    raise NotFound


class NotificationsView(ApiView):
    """``GET /api/notifications``: what the owner asked to be told."""

    def get(self, request: Request) -> Response:
        """A page of them, newest first; with ``?unread=true`` those that were not read."""
        told = Notification.objects.filter(owner_id=user_id(request)).order_by("-id")
        unread = told.filter(read_at__isnull=True)
        only_unread = choice_of(request, "unread", ["true", "false"]) == "true"
        page = page_of(unread if only_unread else told, request)
        shapes = [notification_shape(one) for one in page.rows]
        return Response({"success": True, "notifications": shapes, "unread": unread.count(), **page.position})


class NotificationReadView(ApiView):
    """``POST /api/notifications/{id}/read``."""

    def post(self, request: Request, notification_id: str) -> Response:
        """Mark it as read; doing so twice changes nothing."""
        one = Notification.objects.filter(owner_id=user_id(request), pk=row_id(notification_id))
        if not one.exists():
            raise NotFound("Notification not found.")
        one.filter(read_at__isnull=True).update(read_at=Now())
        return Response({"success": True, "notification": notification_shape(one.get())})


class NotificationsReadView(ApiView):
    """``POST /api/notifications/read``."""

    def post(self, request: Request) -> Response:
        """Mark all as read; returns how many were not."""
        unread = Notification.objects.filter(owner_id=user_id(request), read_at__isnull=True)
        return Response({"success": True, "read": unread.update(read_at=Now())})


def notification_shape(one: Notification) -> dict[str, Any]:
    """A word to the owner."""
    return {
        "id": str(one.pk),
        "kind": one.kind,
        "details": one.details,
        "createdAt": instant(one.created_at),
        "readAt": instant(one.read_at),
    }


class AuditView(ApiView):
    """``GET /api/audit``: who did what to the owner's batches and keys."""

    def get(self, request: Request) -> Response:
        """A page of the trail, newest first; with ``?batchId=`` of one batch, also of one that was deleted."""
        entries = AuditEntry.objects.filter(owner_id=user_id(request)).select_related("actor").order_by("-id")
        if batch_id := request.query_params.get("batchId"):
            if len(batch_id) > 64 or not batch_id.isprintable():
                raise InvalidInput([Problem("batchId", "Is not the id of a batch.", "invalid_text")])
            entries = entries.filter(batch_public_id=batch_id)
        page = page_of(entries, request)
        return Response({"success": True, "entries": [entry_shape(entry) for entry in page.rows], **page.position})


def entry_shape(entry: AuditEntry) -> dict[str, Any]:
    """One act. Without an actor it was the system's own."""
    return {
        "id": str(entry.pk),
        "action": entry.action,
        "actor": entry.actor.get_username() if entry.actor else None,
        "batchId": entry.batch_public_id or None,
        "details": entry.details,
        "at": instant(entry.at),
    }


class UsageView(ApiView):
    """``GET /api/usage``: what the owner used, by day and operation."""

    def get(self, request: Request) -> Response:
        """From the day ``from`` to the day ``to`` (UTC, both included; the last thirty unless told otherwise)."""
        first, last = _days(request)
        used = used_by(user_id(request), first, last)
        days = [{"day": one.day.isoformat(), "operation": one.operation, **_figures([one])} for one in used]
        total = _figures(used)
        return Response(
            {"success": True, "from": first.isoformat(), "to": last.isoformat(), "usage": days, "total": total}
        )


def _figures(used: Sequence[Used]) -> dict[str, Any]:
    """Added up. ``unpricedCalls``: those whose price is not known, which ``cost`` leaves out."""
    cost = total_cost(one.cost for one in used)
    return {
        "items": sum(one.items for one in used),
        "failed": sum(one.failed for one in used),
        "calls": sum(one.calls for one in used),
        "cost": cost_shape(cost) if cost else None,
        "unpricedCalls": sum(one.unpriced for one in used),
    }


def _days(request: Request) -> tuple[date, date]:
    problems: list[Problem] = []
    last = _day(request, "to", problems) or datetime.now(UTC).date()
    first = _day(request, "from", problems) or max(date(1970, 1, 1), last - timedelta(days=USUAL_DAYS - 1))
    if not problems and not 0 <= (last - first).days < MOST_DAYS:
        problems.append(Problem("from", f"Must be before 'to', by less than {MOST_DAYS} days.", "out_of_range"))
    if problems:
        raise InvalidInput(problems)
    return first, last


def _day(request: Request, name: str, problems: list[Problem]) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        problems.append(Problem(name, "Must be a day such as 2026-01-31.", "invalid_time"))
        return None
    if 1970 <= day.year <= 2999:
        return day
    problems.append(Problem(name, "Must be a day after 1969 and before 3000.", "out_of_range"))
    return None


class KeyThrottled(OwnerThrottle):
    """Keys are made by hand."""

    name = "keys"

    def limit(self) -> int:
        """A minute."""
        return 20


class KeysView(ApiView):
    """``/api/keys``: the owner's API keys. A secret is shown in the answer that created it, and never again."""

    throttle_classes = (KeyThrottled,)

    def get(self, request: Request) -> Response:
        """A page of them, newest first, revoked ones as well."""
        page = page_of(ApiKey.objects.filter(owner_id=user_id(request)).order_by("-id"), request)
        return Response({"success": True, "keys": [key_shape(key) for key in page.rows], **page.position})

    def post(self, request: Request) -> Response:
        """Make a key with a ``name`` and ``scopes`` (default: those of the key that asks)."""
        own = request.auth.scopes if isinstance(request.auth, ApiKey) else Scope.values
        name, scopes = _read_key(body_of(request), own)
        owner_id = user_id(request)
        with transaction.atomic():
            key, secret = ApiKey.issue(owner_id=owner_id, name=name, scopes=scopes)
            key.refresh_from_db()
            audit.record_for(owner_id, "create_key", actor_id=owner_id, key=key.pk, name=name, scopes=scopes)
        answer = Response({"success": True, "key": key_shape(key) | {"secret": secret}}, 201)
        answer["Cache-Control"] = "no-store"
        return answer


class KeyView(ApiView):
    """``/api/keys/{id}``."""

    def delete(self, request: Request, key_id: str) -> Response:
        """Revoke the key at once, whoever uses it; doing so twice changes nothing."""
        owner_id = user_id(request)
        with transaction.atomic():
            key = ApiKey.objects.select_for_update().filter(owner_id=owner_id, pk=row_id(key_id)).first()
            if key is None:
                raise NotFound("API key not found.")
            if key.revoked_at is None:
                ApiKey.objects.filter(pk=key.pk).update(revoked_at=Now())
                key.refresh_from_db()
                audit.record_for(owner_id, "revoke_key", actor_id=owner_id, key=key.pk, name=key.name)
        return Response({"success": True, "key": key_shape(key)})


def _read_key(payload: Mapping[str, Any], own: list[str]) -> tuple[str, list[str]]:
    problems = Problems()
    fields = Fields(payload, problems)
    name = fields.text("name", maximum=LONGEST_KEY_NAME, required=True)
    path, scopes = fields.find("scopes")
    if scopes is None:
        scopes = list(own)
    elif not isinstance(scopes, list) or not scopes:
        problems.add(path, "Must be a list of scopes, with one at least.", "invalid_type")
    elif any(scope not in Scope.values for scope in scopes if isinstance(scope, str)) or not all(
        isinstance(scope, str) for scope in scopes
    ):
        problems.add(path, f"Must only hold {' and '.join(Scope.values)}.", "invalid_choice")
    elif not set(scopes) <= set(own):
        problems.add(path, "A key cannot make one that may do more than itself.", "not_allowed")
    fields.refuse_unknown()
    problems.raise_if_any()
    return name, sorted(set(scopes))


def key_shape(key: ApiKey) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "id": str(key.pk),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "createdAt": instant(key.created_at),
        "lastUsedAt": instant(key.last_used_at),
        "revokedAt": instant(key.revoked_at),
    }
