"""What memories are filed under."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Topic(models.Model):
    """A topic, perhaps below another one."""

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="topics", db_index=False)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    color = models.CharField(max_length=32, blank=True, default="")
    icon = models.CharField(max_length=64, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("name", "id")
        constraints = (
            # Top topics as well: two of the same name below nothing are two of the same name.
            models.UniqueConstraint(fields=["owner", "parent", "name"], name="topic_name", nulls_distinct=False),
        )

    def __str__(self) -> str:
        return self.name
