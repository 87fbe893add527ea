"""Keys of provider accounts: entered here, and never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from batches.admin.paging import ReadOnlyAdmin
from batches.models import ProviderCredential
from batches.provider_accounts import credentials
from providers.registry import provider_aliases


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key to be kept. What was entered before is not in the form: another one takes its place."""

    alias = forms.ChoiceField(label="Provider", choices=lambda: [(alias, alias) for alias in provider_aliases()])
    key = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        max_length=credentials.LONGEST_SECRET,
        help_text="Kept encrypted. It also serves the other entries that name the same key variable. A key in the"
        " environment comes before it.",
    )

    class Meta:
        model = ProviderCredential
        fields = ("alias", "account")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["alias"].disabled = True

    def clean(self) -> dict[str, Any] | None:
        """What the service would refuse is said beside its field."""
        cleaned = super().clean() or {}
        if not self.errors:
            for problem in credentials.problems_of(cleaned["alias"], cleaned["key"], cleaned.get("account", "")):
                self.add_error("key" if problem.path == "secret" else problem.path, problem.message)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Entering a key for an alias that has one replaces it."""
        return {*super()._get_validation_exclusions(), "alias"}  # type: ignore[misc]


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(ReadOnlyAdmin[ProviderCredential]):
    """Which keys were entered, by their last characters; entered, replaced and removed by who may."""

    form = CredentialForm
    list_display = ("alias", "shown", "account", "changed_at")
    search_fields = ("alias",)
    actions = None

    @admin.display(description="key")
    def shown(self, credential: ProviderCredential) -> str:
        """All that is ever shown of it."""
        return f"...{credential.last_four}"

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Where there is something to encrypt with."""
        return bool(settings.CREDENTIAL_KEYS) and admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django's permissions say."""
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django's permissions say."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the service, which writes the trail."""
        credentials.store(obj.alias, form.cleaned_data["key"], account=obj.account, actor_id=request.user.pk)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """By the service, which writes the trail."""
        credentials.forget(obj.alias, actor_id=request.user.pk)
