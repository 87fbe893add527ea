"""Queries by their names, so that every door asks for the same rows the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from batches.states import FINAL_BATCH_STATUSES, ItemStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from batches.models import Batch, Item, ItemError  # noqa: F401


class BatchQuerySet(models.QuerySet["Batch"]):
    """Batches. Every door starts from :meth:`owned_by`."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> BatchQuerySet:
        """The user's own batches; staff watch everybody's in the admin, not here."""
        return self.filter(owner_id=user.pk)

    def unsettled(self) -> BatchQuerySet:
        """Batches that still have items which are not final."""
        return self.filter(settled_at__isnull=True)

    def final(self) -> BatchQuerySet:
        """Batches whose status will not change by itself."""
        return self.filter(status__in=sorted(FINAL_BATCH_STATUSES))


class ItemQuerySet(models.QuerySet["Item"]):
    """Items of batches."""

    def unfinished(self) -> ItemQuerySet:
        """Items that are waiting or being called."""
        return self.filter(status__in=[ItemStatus.PENDING, ItemStatus.RUNNING])

    def retryable(self) -> ItemQuerySet:
        """What ``retry_failed`` moves: failed items. Unknown ones only a person may decide to repeat."""
        return self.filter(status=ItemStatus.FAILED)
