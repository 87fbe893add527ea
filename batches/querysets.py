"""Queries by their names, so that every door asks for the same rows the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from batches.models import Batch  # noqa: F401 - named in a string below


class BatchQuerySet(models.QuerySet["Batch"]):
    """Batches. Every door starts from :meth:`owned_by`."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> BatchQuerySet:
        """The user's own batches; staff watch everybody's in the admin, not here."""
        return self.filter(owner_id=user.pk)

    def unsettled(self) -> BatchQuerySet:
        """Batches that still have items which are not final."""
        return self.filter(settled_at__isnull=True)
