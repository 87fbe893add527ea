"""Keys of provider accounts that staff enters instead of the environment: encrypted, and never shown again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class ProviderCredential(models.Model):
    """The key of a provider entry. ``secret`` is encrypted; ``last_four`` is all that is ever shown of it."""

    alias = models.CharField(max_length=64, primary_key=True)
    secret = models.BinaryField(help_text="Encrypted with the first of CREDENTIAL_KEYS.")
    last_four = models.CharField(max_length=4, blank=True, default="")
    account: models.CharField[str, str] = models.CharField(
        max_length=100, blank=True, default="", help_text="Of providers that have an account id beside their key."
    )
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("alias",)

    def __str__(self) -> str:
        return self.alias
