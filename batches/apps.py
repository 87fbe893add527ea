"""The app of batches, items and the engine that runs them."""

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Registers the app under its own name."""

    name = "batches"
    verbose_name = "Batches"
