"""Provider accounts whose breaker is open, for people: what is the matter, and closing it now instead of by a probe."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from batches import audit
from batches.models import ProviderAccount


@transaction.atomic
def close_breaker(alias: str, *, actor_id: int | None) -> bool:
    """Let an account take calls again at once, by a slow start; False where it was not shut.

    Whoever mended it, by a new key or with money, need not wait for the next probe. If it still refuses everybody, it
    opens again with the second answer, and no item is the worse for it.
    """
    shut = ProviderAccount.objects.filter(Q(opened_at__isnull=False) | Q(closed_until__gt=Now()), pk=alias)
    closed = shut.update(opened_at=None, opened_for="", probe_at=None, closed_until=Now(), changed_at=Now())
    if closed and actor_id is not None:
        audit.record_for(actor_id, "close_breaker", actor_id=actor_id, alias=alias)
    return bool(closed)
