"""The routes of records. Every one is served with and without a slash."""

from batches.pages.records import views
from batches.pages.urls import page

urlpatterns = [
    page("records", views.record_list, "record-list"),
    page("records/rows", views.record_rows, "record-rows"),
    page("records/(?P<record_id>[\\w.-]{1,64})", views.record_detail, "record-detail"),
]
