"""The words an owner's records are made of: what a misspelt word of a search is compared with."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class Word(models.Model):
    """A stem that occurs, or once occurred, in a record of this owner.

    Written by a trigger on the records' table (see the first migration), whoever writes the records. Not unique: two
    transactions at the same time may both note a word, which costs a row; a constraint would make one wait for the
    other.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    text = models.CharField(max_length=32)

    class Meta:
        indexes = (
            models.Index(fields=["owner", "text"], name="word_owner_text"),
            GinIndex(fields=["owner", "text"], name="word_similar", opclasses=["int4_ops", "gin_trgm_ops"]),
        )

    def __str__(self) -> str:
        return self.text
