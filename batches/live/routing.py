"""WebSocket routes. Both spellings are served, as with the HTTP routes."""

from channels.auth import AuthMiddlewareStack  # type: ignore[import-untyped]
from channels.routing import URLRouter  # type: ignore[import-untyped]
from django.urls import re_path

from batches.live.consumers import NoSuchSocket, ProgressConsumer

websocket_application = AuthMiddlewareStack(
    URLRouter([re_path(r"^ws/?$", ProgressConsumer.as_asgi()), re_path(r"", NoSuchSocket.as_asgi())])
)
