"""A stored file as an answer: sent piece by piece, and never run by a browser."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from asgiref.sync import sync_to_async
from django.core.files.base import File
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from batches.files import open_file
from batches.models import StoredFile

PIECE_BYTES = 256 * 1024


class Pieces:
    """A file for an asynchronous server: given an ordinary iterator, Django reads all of it before it sends a byte."""

    def __init__(self, file: File[bytes]) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """The bytes, read by a thread of their own: other requests do not wait for the storage."""
        read = sync_to_async(self._file.read, thread_sensitive=False)
        try:
            while piece := await read(PIECE_BYTES):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Also called with the response, whether it was sent or not."""
        self._file.close()


def download(request: Request, stored: StoredFile) -> StreamingHttpResponse:
    """The file, as a download. Raises :class:`batches.files.FileMissing`."""
    file = open_file(stored.owner_id, stored.public_id)
    response = StreamingHttpResponse(Pieces(file)) if isinstance(request._request, ASGIRequest) else FileResponse(file)
    response["Content-Type"] = stored.media_type
    response["Content-Length"] = str(stored.size)
    response["Content-Disposition"] = content_disposition_header(True, stored.name) or "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response
