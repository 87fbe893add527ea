"""Users and groups, in the theme's dress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

if TYPE_CHECKING:
    _UserAdmin = UserAdmin[User]
    _GroupAdmin = GroupAdmin
else:

    class _UserAdmin(UserAdmin, ModelAdmin):
        """Django's own, with the theme's lists and forms."""

    class _GroupAdmin(GroupAdmin, ModelAdmin):
        """Django's own, with the theme's lists and forms."""


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class ThemedUserAdmin(_UserAdmin):
    """Django's own."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class ThemedGroupAdmin(_GroupAdmin):
    """Django's own."""
