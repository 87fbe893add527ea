"""Who did what: one row per service verb, written inside the verb's own transaction."""

from __future__ import annotations

from typing import Any

from batches.models import AuditEntry, Batch


def record(action: str, batch: Batch, *, actor_id: int | None, **details: Any) -> None:
    """Write one audit row about a batch. ``details`` must hold no message text, number or key."""
    AuditEntry.objects.create(
        action=action,
        owner_id=batch.owner_id,
        batch=batch,
        batch_public_id=batch.public_id,
        actor_id=actor_id,
        details=details,
    )


def record_for(owner_id: int, action: str, *, actor_id: int | None, **details: Any) -> None:
    """Write one audit row about something else of an owner's: a key, a cleanup."""
    AuditEntry.objects.create(action=action, owner_id=owner_id, actor_id=actor_id, details=details)
