"""The web application, HTTP and WebSocket: ``uvicorn batchsite.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
http_application = get_asgi_application()  # loads the apps, which the imports below need

from channels.routing import ProtocolTypeRouter  # type: ignore[import-untyped]  # noqa: E402

from batches.garbage import look_seldom  # noqa: E402
from batches.live.redaction import hide_query_strings  # noqa: E402
from batches.live.routing import websocket_application  # noqa: E402
from batchsite.body_limit import limit_bodies  # noqa: E402

hide_query_strings()
application = ProtocolTypeRouter({"http": limit_bodies(http_application), "websocket": websocket_application})
look_seldom()
