"""Which items of a batch: one choice for pages and exports, within what a user may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from batches.models import Batch, Item
from batches.states import ItemStatus
from batches.visibility import ENDED_BADLY, sees_every_error

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_COUNTED = {
    ItemStatus.SUCCEEDED: "succeeded",
    ItemStatus.FAILED: "failed",
    ItemStatus.UNKNOWN: "unknown",
    ItemStatus.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class ItemChoice:
    """``text`` is a part of the client's own id; an empty field lets everything pass."""

    status: str = ""
    category: str = ""
    code: str = ""
    text: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether every item passes."""
        return not (self.status or self.category or self.code or self.text)

    @property
    def has_index(self) -> bool:
        """Whether an index leads to them by position."""
        only_status = not (self.category or self.code or self.text)
        return self.is_everything or (self.status in ENDED_BADLY and only_status)

    def of(self, batch: Batch, user: AbstractBaseUser | AnonymousUser) -> QuerySet[Item] | None:
        """These items, without an order; None where the batch's own counters say that there are none.

        By its error nobody finds an item whose error is not theirs to see.
        """
        items = Item.objects.filter(batch=batch)
        if self.status:
            counter = _COUNTED.get(ItemStatus(self.status))
            if counter and not getattr(batch, counter):
                return None
            items = items.filter(status=self.status)
        if self.category:
            items = items.filter(error_category=self.category)
        if self.code:
            items = items.filter(error_code=self.code)
        if (self.category or self.code) and not sees_every_error(user, batch):
            items = items.filter(status__in=sorted(ENDED_BADLY))
        return items.filter(key__icontains=self.text) if self.text else items
