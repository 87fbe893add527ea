"""All routes."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/", include("batches.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("batches.pages.urls")),
]
