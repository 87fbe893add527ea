"""Queries by their names, so that every door asks for the same rows the same way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

from batches.states import FINAL_BATCH_STATUSES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from batches.models import Batch  # noqa: F401 - named in a string below


class BatchQuerySet(models.QuerySet["Batch"]):
    """Batches. Every door starts from :meth:`owned_by`."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> BatchQuerySet:
        """The user's own batches; staff watch everybody's in the admin, not here."""
        return self.filter(owner_id=user.pk, deleted_at__isnull=True)

    def over_since(self, days: int) -> BatchQuerySet:
        """Batches that have been over, with nothing left to write, for so many days."""
        return self.filter(
            settled_at__isnull=False,
            deleted_at__isnull=True,
            status__in=sorted(FINAL_BATCH_STATUSES),
            completed_at__lt=Now() - timedelta(days=days),
        )

    def unsettled(self) -> BatchQuerySet:
        """Batches that still have items which are not final."""
        return self.filter(settled_at__isnull=True)
