"""The routes under ``/api``, each with and without a slash at its end."""

from __future__ import annotations

from django.urls import URLPattern, re_path
from rest_framework.views import APIView

from batches.api import (
    account,
    batches,
    callbacks,
    doubts,
    estimates,
    exports,
    files,
    history,
    messages,
    operations,
    opt_outs,
    photos,
    providers,
    schema,
)
from batches.live.ticket import TicketView


def route(pattern: str, view: type[APIView], name: str) -> URLPattern:
    """A route in both spellings; ``<name>`` takes an id. Redirecting instead would lose a POST's body."""
    expression = pattern.replace("<", "(?P<").replace(">", ">[A-Za-z0-9_-]{1,64})")
    return re_path(rf"^{expression}/?\Z", view.as_view(), name=name)


urlpatterns = [
    route("schema", schema.SchemaView, "api-schema"),
    route("ws-ticket", TicketView, "api-ws-ticket"),
    route("files", files.FilesView, "api-files"),
    route("files/<file_id>", files.FileView, "api-file"),
    route("notifications", account.NotificationsView, "api-notifications"),
    route("notifications/read", account.NotificationsReadView, "api-notifications-read"),
    route("notifications/<notification_id>/read", account.NotificationReadView, "api-notification-read"),
    route("audit", account.AuditView, "api-audit"),
    route("usage", account.UsageView, "api-usage"),
    route("keys", account.KeysView, "api-keys"),
    route("keys/<key_id>", account.KeyView, "api-key"),
    route("providers", providers.ProvidersView, "api-providers"),
    route("opt-outs", opt_outs.OptOutsView, "api-opt-outs"),
    route("receipts/<alias>", callbacks.ReceiptView, "api-receipts"),
    route("inbound/<alias>", callbacks.InboundView, "api-inbound"),
    route("batch", messages.CreateSmsView, "api-batch-create-sms"),
    route("operations", operations.OperationsView, "api-operations"),
    route("batch/estimate", estimates.EstimateView, "api-batch-estimate"),
    route("batch/create", operations.CreateView, "api-batch-create"),
    route("batch/process", photos.ProcessView, "api-batch-process"),
    route("batch/status/<batch_id>", photos.PhotoStatusView, "api-batch-photo-status"),
    route("batch/results/<batch_id>", photos.PhotoResultsView, "api-batch-photo-results"),
    route("batch/cancel/<batch_id>", photos.PhotoCancelView, "api-batch-photo-cancel"),
    route("batch/history", history.HistoryView, "api-batch-history"),
    route("batch/stats", history.StatsView, "api-batch-stats"),
    route("batch/cleanup", history.CleanupView, "api-batch-cleanup"),
    route("batch/<batch_id>", batches.BatchDetailView, "api-batch"),
    route("batch/<batch_id>/items", batches.BatchItemsView, "api-batch-items"),
    route("batch/<batch_id>/results", batches.BatchResultsView, "api-batch-results"),
    route("batch/<batch_id>/viz", batches.BatchVisualizationView, "api-batch-viz"),
    route("batch/<batch_id>/files", batches.BatchFilesView, "api-batch-files"),
    route("batch/<batch_id>/errors", batches.BatchErrorsView, "api-batch-errors"),
    route("batch/<batch_id>/analytics", batches.BatchAnalyticsView, "api-batch-analytics"),
    route("batch/<batch_id>/export", exports.ExportView, "api-batch-export"),
    route("batch/<batch_id>/start", batches.StartView, "api-batch-start"),
    route("batch/<batch_id>/pause", batches.PauseView, "api-batch-pause"),
    route("batch/<batch_id>/resume", batches.ResumeView, "api-batch-resume"),
    route("batch/<batch_id>/cancel", batches.CancelView, "api-batch-cancel"),
    route("batch/<batch_id>/retry", batches.RetryView, "api-batch-retry"),
    route("batch/<batch_id>/settle", doubts.SettleView, "api-batch-settle"),
]
