"""Who may call, what they called before, what they uploaded, and what was done: keys, replies, files, audit."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from batches.states import Scope


def every_scope() -> list[str]:
    """What a key may do when nothing else was said: everything its owner may."""
    return list(Scope.values)


class ApiKey(models.Model):
    """A Bearer key. Only its SHA-256 is stored: the secret is 256 random bits, so a slow hash adds nothing."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The key's first characters, to recognise it by.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=16, choices=Scope.choices), default=every_scope, db_default=list(Scope.values)
    )
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="api_key_scopes_known", condition=Q(scopes__contained_by=Scope.values, scopes__len__gt=0)
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"

    @staticmethod
    def digest_of(secret: str) -> str:
        """What is stored of a key."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(
        cls, *, owner_id: int, name: str, secret: str | None = None, scopes: Sequence[str] | None = None
    ) -> tuple[Self, str]:
        """Create a key and return it with its secret, which is shown once and never again. No scopes: all of them."""
        secret = secret or f"bsk_{secrets.token_urlsafe(32)}"
        key = cls.objects.create(
            owner_id=owner_id,
            name=name,
            prefix=secret[:8],
            digest=cls.digest_of(secret),
            scopes=every_scope() if scopes is None else list(scopes),
        )
        return key, secret


class IdempotentReply(models.Model):
    """The answer given to a create with an ``Idempotency-Key``, stored in the transaction that created."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of path and body.")
    status_code = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "idempotent replies"
        constraints = (models.UniqueConstraint(fields=["owner", "key"], name="idempotent_reply_key"),)
        indexes = (models.Index(fields=["created_at"], name="idempotent_reply_age"),)  # the daily sweep

    def __str__(self) -> str:
        return self.key


def new_file_id() -> str:
    """Unguessable, like every public id."""
    return f"file_{secrets.token_hex(16)}"


def file_path(stored: StoredFile, name: str) -> str:
    """Where the bytes lie in the storage: never by the client's own file name."""
    return f"{stored.owner_id}/{stored.public_id}"


class StoredFile(models.Model):
    """Bytes a user gave us: an uploaded photo, or the decoded data URL of an item.

    One that was stored for a single batch (``for_batch``) goes with it: without its batch it is swept.
    """

    public_id = models.CharField(max_length=64, unique=True, default=new_file_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="files")
    name = models.CharField(max_length=255)
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    content = models.FileField(upload_to=file_path, max_length=255)
    for_batch = models.BooleanField(default=False, db_default=False, help_text="Stored for one batch alone.")
    batch = models.ForeignKey("batches.Batch", models.SET_NULL, null=True, blank=True, related_name="+", db_index=False)
    is_result = models.BooleanField(default=False, db_default=False, help_text="Made by its batch, for its owner.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["owner", "-id"], name="stored_file_owner_newest"),  # an owner's files
            # What a deleted batch leaves behind.
            models.Index(fields=["batch"], name="stored_file_batch", condition=Q(batch__isnull=False)),
            # The hourly sweep: files whose batch never came or has gone.
            models.Index(
                fields=["created_at"], name="stored_file_orphan", condition=Q(for_batch=True, batch__isnull=True)
            ),
        )
        constraints = (
            # Making a result again replaces it.
            models.UniqueConstraint(fields=["batch", "name"], name="stored_file_result", condition=Q(is_result=True)),
        )

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """Who did what to what, and when. Written by the services, in their transactions; it outlives what it is about.

    ``owner`` may read it: the owner of the batch or key that was changed.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=64)
    batch = models.ForeignKey(
        "batches.Batch", models.SET_NULL, null=True, blank=True, related_name="audit_entries", db_index=False
    )
    batch_public_id = models.CharField(max_length=64, blank=True, default="")
    details = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-id",)
        indexes = (
            # A batch's history on its page.
            models.Index(fields=["batch", "-id"], name="audit_entry_batch", condition=Q(batch__isnull=False)),
            models.Index(fields=["owner", "-id"], name="audit_entry_owner_newest"),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.batch_public_id}"
