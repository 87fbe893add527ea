"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

import functools
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView
from batches.pages.policy import POLICY


class SchemaView(ApiView):
    """``GET /api/schema``: for everybody, it holds nothing of anybody's."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    def get(self, request: Request) -> Response:
        """OpenAPI 3.1, as JSON."""
        return Response(schema())


@functools.cache
def schema() -> dict[str, Any]:
    """The document; it changes with the code alone."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


class DocumentationView(SpectacularSwaggerSplitView):
    """``GET /docs``: the schema to read and to try, with nothing from other hosts."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    url_name = "api-schema"
    url_self = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """With the policy of our pages, but for the styles that the page writes into itself."""
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        policy = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
        response.headers["Content-Security-Policy"] = policy
        return response
