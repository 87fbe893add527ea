"""What is on the left of every admin page: the models by what an operator looks for, each only for who may see it."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.urls import reverse

GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Work",
        (
            ("batches.Batch", "Batches", "dynamic_feed"),
            ("batches.Item", "Items", "list"),
            ("batches.ItemError", "Errors", "error"),
            ("batches.ProviderBatch", "At providers", "hourglass_top"),
            ("batches.StoredFile", "Files", "draft"),
        ),
    ),
    (
        "Engine",
        (
            ("batches.Worker", "Processes", "memory"),
            ("batches.Lease", "Leases", "assignment"),
            ("batches.BatchHistogram", "Figures", "bar_chart"),
        ),
    ),
    (
        "Providers",
        (
            ("batches.ProviderAccount", "Accounts", "cloud"),
            ("batches.ProviderCredential", "Keys of providers", "key"),
            ("batches.OptOut", "Opt-outs", "do_not_disturb_on"),
            ("batches.DeliveryReceipt", "Receipts", "mark_email_read"),
        ),
    ),
    ("Records", (("records.Record", "Records", "article"), ("records.Topic", "Topics", "label"))),
    (
        "People",
        (
            ("auth.User", "Users", "person"),
            ("auth.Group", "Groups", "group"),
            ("batches.ApiKey", "API keys", "vpn_key"),
            ("batches.Usage", "Usage of deleted batches", "monitoring"),
            ("batches.Notification", "Notifications", "notifications"),
            ("batches.AuditEntry", "Audit trail", "history"),
            ("batches.IdempotentReply", "Kept replies", "replay"),
        ),
    ),
)


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """The theme's navigation."""
    first = {"title": "Overview", "icon": "dashboard", "link": reverse("admin:index")}
    found: list[dict[str, Any]] = [{"title": "", "items": [first]}]
    for title, entries in GROUPS:
        items = [_entry(*entry) for entry in entries if _may_see(request, entry[0])]
        if items:
            found.append({"title": title, "separator": True, "items": items})
    return found


def _entry(model: str, title: str, icon: str) -> dict[str, str]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{model.lower().replace('.', '_')}_changelist")}


def _may_see(request: HttpRequest, model: str) -> bool:
    meta = apps.get_model(model)._meta
    return request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")
