"""The app of batches, items and the engine that runs them."""

from __future__ import annotations

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Registers the app under its own name."""

    name = "batches"
    verbose_name = "Batches"

    def ready(self) -> None:
        """Tell the providers where keys that staff entered are found."""
        from batches.provider_accounts.credentials import look_again
        from providers.keys import ask_for_entered

        ask_for_entered(look_again)
