"""Noting what was done; the analytics read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.db.models.functions import Now

from records.models import Action, Activity, Method

KEPT_DAYS = 90
LONGEST_QUERY = 200


def note(owner_id: int, method: Method, counts: Mapping[Action, int]) -> None:
    """So many memories each."""
    rows = [
        Activity(owner_id=owner_id, method=method, action=action, count=count)
        for action, count in counts.items()
        if count
    ]
    if rows:
        Activity.objects.bulk_create(rows)


def note_search(owner_id: int, query: str, found: int, duration_ms: float) -> None:
    """A search, and how many it found."""
    Activity.objects.create(
        owner_id=owner_id,
        method=Method.SEARCH,
        action=Action.SEARCH,
        count=found,
        query=query[:LONGEST_QUERY],
        duration_ms=duration_ms,
    )


def sweep_old() -> int:
    """Forget what is older than the analytics look back; returns how many rows."""
    old = Activity.objects.filter(at__lt=Now() - timedelta(days=KEPT_DAYS))
    deleted, _ = old.delete()
    return deleted
