"""All routes."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from batches.admin.overview import overview_page
from batches.api.schema import DocumentationView
from batches.metrics.view import metrics

handler400 = "batches.api.errors.bad_request"
handler403 = "batches.api.errors.permission_denied"
handler404 = "records.api.errors.not_found"
handler500 = "batches.api.errors.server_error"

urlpatterns = [
    path("api/v1/", include("records.api.urls")),
    path("api/", include("batches.api.urls")),
    re_path(r"^docs/?\Z", DocumentationView.as_view(), name="api-docs"),
    re_path(r"^metrics/?\Z", metrics, name="metrics"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/overview/", overview_page, name="admin-overview"),
    path("admin/", admin.site.urls),
    path("", include("batches.pages.create.urls")),
    path("", include("batches.pages.records.urls")),
    path("", include("batches.pages.urls")),
]
