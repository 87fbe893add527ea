"""The search of a list: one condition, by what the term looks like, that an index serves.

Django joins its search fields with "or", also across tables, and then Postgres reads all rows of a big one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from batches.models import Batch

Find = Callable[[str], dict[str, Any] | None]
"""The condition that finds a term; None where the term is something else."""

BATCH = "batch_"
"""How ids of batches begin."""


def by_owner(path: str) -> Find:
    """A user's whole name."""

    def find(term: str) -> dict[str, Any] | None:
        user = get_user_model().objects.filter(username=term).first()
        return {path: user} if user is not None else None

    return find


def by_batch(path: str, *, gone: str = "") -> Find:
    """A batch's whole id. ``gone``: the field that still tells it where the batch was deleted."""

    def find(term: str) -> dict[str, Any] | None:
        if not term.startswith(BATCH):
            return None
        found = Batch.objects.filter(public_id=term).values_list("pk", flat=True).first()
        if found is None and gone:
            return {gone: term}
        return {f"{path}_id": found or 0}

    return find


def by_batch_start(field: str) -> Find:
    """The beginning of a batch's id."""
    return lambda term: {f"{field}__startswith": term} if term.startswith(BATCH) else None


class Finds:
    """For an admin: ``finds`` are tried in turn, and what they do not know is a value of ``finds_otherwise``."""

    finds: tuple[Find, ...] = ()
    finds_otherwise = ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows of the term; without a term all."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for find in self.finds:
            condition = find(term)
            if condition is not None:
                return queryset.filter(**condition), False
        if self.finds_otherwise:
            return queryset.filter(**{self.finds_otherwise: term}), False
        return queryset.none(), False
