"""Pages for people, and the health of this process for machines. Every route is served with and without a slash."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, re_path

from batches.pages import actions, comparing, detail, health, items, overview

login = LoginView.as_view(
    template_name="pages/login.html",
    redirect_authenticated_user=True,
    extra_context={"development": not settings.PRODUCTION},
)


def page(pattern: str, view: Callable[..., Any], name: str) -> URLPattern:
    """A route in both spellings. ``<batch>`` is a batch's id, ``<position>`` an item's."""
    expression = pattern.replace("<batch>", r"(?P<public_id>[\w-]{1,64})").replace(
        "<position>", r"(?P<position>[0-9]+)"
    )
    return re_path(rf"^{expression}/?\Z", view, name=name)


urlpatterns = [
    re_path(r"^\Z", overview.batch_list, name="batch-list"),
    page("batches", overview.batch_rows, "batch-rows"),
    page("batches/<batch>", detail.batch_detail, "batch-detail"),
    page("batches/<batch>/state", detail.batch_state, "batch-state"),
    page("batches/<batch>/items", detail.batch_items, "batch-items"),
    page("batches/<batch>/items/<position>", items.item_detail, "item-detail"),
    page("batches/<batch>/items/<position>/photo", items.item_photo, "item-photo"),
    page("batches/<batch>/(?P<verb>[a-z]+)", actions.batch_verb, "batch-verb"),
    page("compare", comparing.compare, "batch-compare"),
    page("login", login, "login"),
    page("logout", LogoutView.as_view(), "logout"),
    page("healthz", health.healthz, "healthz"),
    page("readyz", health.readyz, "readyz"),
]
