"""Gemini's files: a resumable upload, and downloads from either of two places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from providers.ai.batches.adapter import ODD_SHAPE, BatchAdapter, identifier, part
from providers.base import LineResult, ProviderError
from providers.http import FileBody


class GeminiFiles(BatchAdapter):
    """Sends files and reads them. The version of the API stands within their paths, not before them."""

    def upload(self, lines: Path, marker: str) -> str:
        """Send the file; returns its name. In two steps: one is told where to send it, and sends it."""
        body = FileBody(path=lines)
        place, version = self.files.prefix.rpartition("/")[::2]
        start = self.files.call(
            "POST",
            f"{place}/upload/{version}/files",
            orjson.dumps({"file": {"displayName": marker}}),
            timeout_seconds=self.exchange_seconds,
            headers={
                "Content-Type": "application/json",
                "X-Goog-Upload-Protocol": "resumable",
                "X-Goog-Upload-Command": "start",
                "X-Goog-Upload-Header-Content-Length": str(body.size),
                "X-Goog-Upload-Header-Content-Type": "application/jsonl",
            },
        )
        path = self.files.own_path(start.headers.get("x-goog-upload-url") or "")
        if path is None:
            raise self.files.elsewhere()
        response = self.files.call(
            "POST",
            path,
            body,
            timeout_seconds=self.patience(body),
            headers={"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"},
        )
        try:
            name = identifier(response.parsed["file"]["name"])
        except ODD_SHAPE:
            name = ""
        if not name:
            raise self.files.invalid_response(response, "a body that is no file")
        return name

    def results_of(self, name: str) -> Iterator[LineResult]:
        """The results in a file: where the SDK finds it or, failing that, the documentation."""
        place, version = self.files.prefix.rpartition("/")[::2]
        path = f"{version}/{part(name, '/')}:download?alt=media"
        try:
            yield from self._lines(f"{place}/{path}")
        except ProviderError as error:
            if error.status != 404:
                raise
            yield from self._lines(f"{place}/download/{path}")

    def _lines(self, path: str) -> Iterator[LineResult]:
        for line in self.files.lines(path, timeout_seconds=self.download_seconds):
            yield self.read_line(line)
