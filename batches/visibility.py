"""Who may see which errors: the one rule, asked by every endpoint, page and export.

Document 001: users never see a photo item's errors while it may still be retried; staff see each one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet

from batches.models import Batch, Item, ItemError
from batches.states import ItemStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

DISCREET_OPERATIONS = frozenset({"rate_photos"})
"""Operations whose owners see the errors of items that ended badly, and no others."""

ENDED_BADLY = frozenset({ItemStatus.FAILED, ItemStatus.UNKNOWN})


def sees_every_error(user: AbstractBaseUser | AnonymousUser, batch: Batch) -> bool:
    """Whether errors that a retry may still heal are this user's to see."""
    return bool(getattr(user, "is_staff", False)) or batch.operation not in DISCREET_OPERATIONS


def errors_visible_to(user: AbstractBaseUser | AnonymousUser, batch: Batch) -> QuerySet[ItemError]:
    """The batch's errors that this user may see."""
    errors = ItemError.objects.filter(batch=batch)
    return errors if sees_every_error(user, batch) else errors.filter(item__status__in=sorted(ENDED_BADLY))


def error_visible_to(user: AbstractBaseUser | AnonymousUser, batch: Batch, item: Item) -> bool:
    """Whether this user may see the item's own error."""
    return item.status in ENDED_BADLY or sees_every_error(user, batch)
