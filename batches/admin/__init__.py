"""The Django admin: staff look at everything, and change what the engine does not own. No list counts a big table."""

from django.contrib import admin

from batches.admin import access, account, batch, credential, economy, engine, item, messages, users

__all__ = ["access", "account", "batch", "credential", "economy", "engine", "item", "messages", "users"]

admin.site.site_header = admin.site.site_title = "batchsite"
admin.site.index_title = "Overview"
