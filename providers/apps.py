"""Django's view of this package: only its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class ProvidersConfig(AppConfig):
    """Registers the checks."""

    name = "providers"

    def ready(self) -> None:
        from providers.checks import check_providers

        checks.register(check_providers)
