"""The records that an operation is about: those of its owner that match document 004's ``filters``.

They are counted when the batch is built and read page by page afterwards, up to the record that was the newest then:
what comes later is not of this batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec

from django.db import InterfaceError, OperationalError
from django.db.models import Count, Max

from batches.operations.payload import Fields
from batches.outcomes import Outcome, Snooze
from records.filters import filter_problems
from records.models import Record
from records.querysets import RecordQuerySet

Filters = Mapping[str, Any]
Parameters = ParamSpec("Parameters")

SNOOZE_SECONDS = 1.0


class Busy(Exception):
    """This process has as much to do as it should: the item is for another moment, or another worker."""


@dataclass(frozen=True, slots=True)
class Selection:
    """How many records there were, and the highest id among them; 0 where there were none."""

    count: int
    last: int


def read_filters(fields: Fields) -> dict[str, Any]:
    """The field ``filters``; without it every record of the owner matches."""
    path, filters = fields.find("filters")
    if filters is None:
        return {}
    found = filter_problems(filters, path)
    fields.problems.extend(found)
    return {} if found else dict(filters)


def matching(owner_id: int, filters: Filters) -> RecordQuerySet:
    """The owner's records that match."""
    return Record.objects.owned_by(owner_id).matching(filters)


def select(owner_id: int, filters: Filters) -> Selection:
    """Count them, once."""
    found = matching(owner_id, filters).order_by().aggregate(count=Count("pk"), last=Max("pk"))
    return Selection(found["count"], found["last"] or 0)


def stretch(owner_id: int, filters: Filters, *, after: int, through: int) -> RecordQuerySet:
    """Those with ids above ``after`` up to ``through``, in the order of their ids."""
    return matching(owner_id, filters).filter(pk__gt=after, pk__lte=through).order_by("pk")


def without_database_later(run: Callable[Parameters, Outcome]) -> Callable[Parameters, Outcome]:
    """An item that finds no database, is the victim of a deadlock, or finds its worker busy, has spent nothing.

    It comes back in a moment.
    """

    @functools.wraps(run)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Outcome:
        try:
            return run(*args, **kwargs)
        except (OperationalError, InterfaceError, Busy):
            return Snooze(SNOOZE_SECONDS)

    return wrapped
