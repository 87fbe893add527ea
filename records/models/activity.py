"""What owners did with their memories: the facts behind the analytics of searches and accesses."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Action(models.TextChoices):
    """What was done."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    SEARCH = "search"


class Method(models.TextChoices):
    """How: ``direct`` names one memory in the path, ``api`` is a request about many, ``search`` found it."""

    DIRECT = "direct"
    API = "api"
    SEARCH = "search"


class Activity(models.Model):
    """One statement's worth of doing: ``count`` memories at once. Only ever added to, so nobody waits for a counter."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    action = models.CharField(max_length=8, choices=Action.choices)
    method = models.CharField(max_length=8, choices=Method.choices)
    count = models.PositiveIntegerField(help_text="Memories it was done to; of a search, how many it found.")
    query = models.CharField(max_length=200, blank=True, default="", db_default="", help_text="What was searched for.")
    duration_ms = models.FloatField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "activities"
        indexes = (
            models.Index(fields=["owner", "at"], name="activity_owner_at"),  # analytics of a stretch of time
            models.Index(fields=["at"], name="activity_age"),  # the hourly sweep
        )

    def __str__(self) -> str:
        return f"{self.action} of {self.count}"
