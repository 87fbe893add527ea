"""Queries of records by their names; every door and every operation starts from :meth:`RecordQuerySet.owned_by`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import models

from records.filters import condition

if TYPE_CHECKING:
    from records.models import Record  # noqa: F401 - named in a string below


class RecordQuerySet(models.QuerySet["Record"]):
    """Records."""

    def owned_by(self, owner_id: int) -> RecordQuerySet:
        """The owner's."""
        return self.filter(owner_id=owner_id)

    def memories(self) -> RecordQuerySet:
        """What document 003 calls a memory."""
        return self.filter(kind="memory")

    def matching(self, filters: Mapping[str, Any]) -> RecordQuerySet:
        """Those for which every filter holds, see :mod:`records.filters`. Raises :class:`InvalidInput`."""
        return self.filter(condition(filters))


class RecordManager(models.Manager["Record"]):
    """Reads everything but the search index's words, which are as long as the content and needed by Postgres alone."""

    def get_queryset(self) -> RecordQuerySet:
        """Without ``search``."""
        return RecordQuerySet(self.model, using=self._db).defer("search")

    def owned_by(self, owner_id: int) -> RecordQuerySet:
        """The owner's."""
        return self.get_queryset().owned_by(owner_id)
