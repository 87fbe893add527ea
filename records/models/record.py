"""One thing a user keeps: a memory of document 003, a node of document 004, a conversation of document 000."""

from __future__ import annotations

import secrets
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Left, Now

from records.querysets import RecordManager

LONGEST_CONTENT = 100_000
"""Characters of a content that are searched; the front doors accept no longer one."""
SEARCH_CONFIGURATION = "records_text"
"""The text search configuration made by the first migration: English stems, accents folded."""


class Kind(models.TextChoices):
    """What a record is. The column takes other words as well."""

    MEMORY = "memory"
    NODE = "node"
    CONVERSATION = "conversation"


class MemoryStatus(models.TextChoices):
    """The statuses of a memory. Other kinds of records have statuses of their own, such as document 004's "pending"."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DRAFT = "draft"
    DELETED = "deleted"


class MemoryType(models.TextChoices):
    """What a memory is about."""

    CONTEXT = "context"
    PROJECT = "project"
    KNOWLEDGE = "knowledge"
    REFERENCE = "reference"
    PERSONAL = "personal"
    WORKFLOW = "workflow"


def new_record_id() -> str:
    """``mem_<hex>`` as document 003 shows it; 96 random bits make it unguessable."""
    return f"mem_{secrets.token_hex(12)}"


class TagText(Func):
    """The tags as one text; a function of the first migration, because ``array_to_string`` is not immutable."""

    function = "records_tag_text"
    output_field = models.TextField()


def searched_text() -> CombinedExpression:
    """What a search looks at, the title weighing most. Postgres keeps it up to date as a generated column."""
    return (
        SearchVector("title", config=SEARCH_CONFIGURATION, weight="A")
        + SearchVector(TagText(F("tags")), config=SEARCH_CONFIGURATION, weight="B")
        + SearchVector("summary", config=SEARCH_CONFIGURATION, weight="C")
        + SearchVector(Left("content", Value(LONGEST_CONTENT)), config=SEARCH_CONFIGURATION, weight="D")
    )


class Record(models.Model):
    """A record. Whatever its fields have no place for is in ``metadata``."""

    public_id = models.CharField(max_length=64, unique=True, default=new_record_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="records", db_index=False)
    key = models.CharField(  # noqa: DJ001 - two records without a key do not collide
        max_length=255, null=True, blank=True, help_text="The owner's own id for it: what an import updates by."
    )
    kind = models.CharField(max_length=32, default=Kind.MEMORY, db_default=Kind.MEMORY)
    status = models.CharField(max_length=64, default=MemoryStatus.ACTIVE, db_default=MemoryStatus.ACTIVE)
    title = models.TextField(blank=True, default="", db_default="")
    content = models.TextField(blank=True, default="", db_default="")
    summary = models.TextField(blank=True, default="", db_default="")
    metadata = models.JSONField(default=dict, blank=True, db_default={})
    tags = ArrayField(
        models.TextField(), default=list, blank=True, db_default=Value([], ArrayField(models.TextField()))
    )
    memory_type = models.CharField(max_length=32, default=MemoryType.CONTEXT, db_default=MemoryType.CONTEXT)
    topic = models.ForeignKey(
        "records.Topic", models.SET_NULL, null=True, blank=True, related_name="records", db_index=False
    )
    project_ref = models.CharField(max_length=255, blank=True, default="", db_default="")
    quality = models.FloatField(null=True, blank=True, help_text="0 to 1, as an annotation judged it.")
    relevance = models.FloatField(null=True, blank=True, help_text="0 to 1, as its owner judged it.")
    access_count = models.PositiveBigIntegerField(default=0, db_default=0)
    last_accessed = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    search = models.GeneratedField(expression=searched_text(), output_field=SearchVectorField(), db_persist=True)

    objects: ClassVar[RecordManager] = RecordManager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["owner", "key"], name="record_owner_key"),)
        indexes = (
            # An owner's records, newest first. The GIN indexes below start with the owner as well, so that a search
            # costs what the owner has and not what everybody has.
            models.Index(fields=["owner", "kind", "-id"], name="record_owner_newest"),
            models.Index(fields=["topic"], name="record_topic", condition=Q(topic__isnull=False)),
            GinIndex(fields=["owner", "search"], name="record_search"),
            GinIndex(fields=["owner", "tags"], name="record_tags"),
            GinIndex(fields=["owner", "metadata"], name="record_metadata", opclasses=["int4_ops", "jsonb_path_ops"]),
        )

    def __str__(self) -> str:
        return self.public_id
