"""The app of records: memories, nodes and conversations."""

from django.apps import AppConfig


class RecordsConfig(AppConfig):
    """Registers the app under its own name."""

    name = "records"
    verbose_name = "Records"
