"""Where an economy batch stands, for its owner: what waits at its provider, since when, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from batches.models import Batch

_STANDING = """
    SELECT COALESCE(sum(lease.remaining) FILTER (WHERE away.step IN ('submitted', 'collecting')), 0)::int,
           min(away.submitted_at) FILTER (WHERE away.step IN ('submitted', 'collecting')),
           sum((away.remote->>'finished')::int) FILTER (WHERE away.step IN ('submitted', 'collecting'))::int,
           COALESCE(sum(lease.remaining) FILTER (WHERE away.step IN ('gathered', 'submitting')), 0)::int,
           min(away.error_code) FILTER (WHERE away.error_code <> ''),
           min(away.due_at) FILTER (WHERE away.error_code <> '')
      FROM batches_providerbatch AS away LEFT JOIN batches_lease AS lease ON lease.id = away.lease_id
     WHERE away.batch_id = %s AND away.step <> 'done'
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Numbers of items. ``answered_there``: as the provider counts them, where it does.

    ``problem``: the code of what a provider or we had against the last step, which is tried again at ``retry_at``.
    """

    at_provider: int
    since: datetime | None
    answered_there: int | None
    preparing: int
    problem: str | None
    retry_at: datetime | None


def standing(batch: Batch) -> Standing:
    """Read it: a few rows of the batch's provider batches and their leases."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [batch.pk])
        return Standing(*cursor.fetchone())
