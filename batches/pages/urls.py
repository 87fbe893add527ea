"""Pages for people, and the health of this process for machines. Every route is served with and without a slash."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import re_path

from batches.pages import health, views

login = LoginView.as_view(template_name="pages/login.html", redirect_authenticated_user=True)

urlpatterns = [
    re_path(r"^$", views.batch_list, name="batch-list"),
    re_path(r"^batches/(?P<public_id>[\w-]{1,64})/?$", views.batch_detail, name="batch-detail"),
    re_path(r"^batches/(?P<public_id>[\w-]{1,64})/(?P<verb>[a-z]+)/?$", views.batch_verb, name="batch-verb"),
    re_path(r"^login/?$", login, name="login"),
    re_path(r"^logout/?$", LogoutView.as_view(), name="logout"),
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
]
