"""uvicorn's HTTP protocol, with the connection within reach of the application, so that it can be cut."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "sandbox.transport"


class CuttableProtocol(HttpToolsProtocol):
    """Puts the transport into the scope's extensions."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]
