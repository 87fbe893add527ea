"""The client: one method per thing the API does."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from batchsite.client import uploads, waiting
from batchsite.client.memory import OperationsResult, run_operations
from batchsite.client.photos import image_list
from batchsite.client.shapes import Batch, BatchOptions, StoredFile, camel_options
from batchsite.client.transport import ApiRequest, Transport

PAGE = 100

Value = TypeVar("Value")


class BatchClient:
    """Speaks to a batchsite server. Safe to share between threads; ``with`` or :meth:`close` ends its connections.

    Requests that fail for a passing reason are sent again up to ``max_retries`` times; a 429 is waited out as long as
    its Retry-After says, within ``patience_seconds`` of waiting per request. Every create carries an Idempotency-Key,
    so that no retry makes anything twice. ``timeout_seconds`` is for one try. All methods raise
    :class:`~batchsite.client.errors.BatchClientError`. Where a method takes a batch, its id will do.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = "http://127.0.0.1:8000",
        *,
        timeout_seconds: float = 120.0,
        max_retries: int = 5,
        patience_seconds: float = 600.0,
    ) -> None:
        self._transport = Transport(
            api_key=api_key,
            base_url=base_url,
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
            patience_seconds=patience_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # --- Creating ---------------------------------------------------------------------------------

    def batch_operations(
        self,
        operations: Iterable[Mapping[str, Any]],
        *,
        continue_on_error: bool = False,
        max_retries: int = 0,
        timeout: int = 30_000,
        parallel: bool = True,
        validate_only: bool = False,
        batch_id: str | None = None,
    ) -> OperationsResult:
        """Run memory operations (document 003) and return what became of each, in order.

        More than 100 go in several requests, one after the other, as the server's limit of requests allows; each has
        the ``timeout`` (ms), and ``batch_id`` with the request's number behind it. Without ``continue_on_error`` the
        first failure ends the list, and the rest is ``skipped``.
        """
        listed = list(operations)
        options = {
            "continue_on_error": continue_on_error,
            "max_retries": max_retries,
            "timeout": timeout,
            "parallel": parallel,
            "validate_only": validate_only,
        }

        def send(part: list[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
            headers = {}
            if batch_id is not None:
                headers["X-Batch-Id"] = batch_id if number == 0 else f"{batch_id}-{number + 1}"
            answer = self._create("/api/v1/batch", {"operations": part, "options": options}, headers)
            data: Mapping[str, Any] = answer["data"]
            return data

        return run_operations(listed, send, continue_on_error=continue_on_error)

    def rate_photos(
        self,
        images: Iterable[str | Path | Mapping[str, Any]],
        *,
        shoot_id: str = "",
        prompt: str | None = None,
        system_prompt: str | None = None,
        provider: str | None = None,
        mode: str = "fast",
        **options: Unpack[BatchOptions],
    ) -> Batch:
        """Rate photos (document 001): paths of files, which are uploaded first, http(s) URLs, or objects with ``id``
        and ``url`` or ``fileId``, ``tags`` and ``metadata``. A file or URL has its name as id."""
        body = {
            "shootId": shoot_id or f"shoot-{secrets.token_hex(4)}",
            "images": image_list(list(images), self.upload_files),
            "mode": mode,
            **_given(prompt=prompt, systemPrompt=system_prompt, providerId=provider),
            **camel_options(options),
        }
        answer = self._create("/api/batch/process", body)
        return self._created(answer["jobId"], "rate_photos", answer["totalImages"], answer)

    def send_sms(
        self,
        text: str,
        recipients: Iterable[str | Mapping[str, Any]],
        *,
        provider: str | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch:
        """Text people (document 002). ``text`` may hold ``{{name}}``; a recipient is a phone number in international
        format, or an object with ``phoneNumber`` and ``variables``."""
        people = [{"phoneNumber": person} if isinstance(person, str) else dict(person) for person in recipients]
        body = {"text": text, "recipients": people, **_given(provider=provider), "options": camel_options(options)}
        answer = self._create("/api/batch", body)
        return self._created(answer["batchId"], "sms", answer["totalRecipients"], answer)

    def create(
        self,
        operation: str,
        filters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        **fields: Any,
    ) -> Batch:
        """Create a batch of any operation (document 004). ``fields`` are the operation's own, in the API's spelling."""
        given = _given(filters=filters, options=options, name=name, description=description)
        return Batch.of(self._create("/api/batch/create", {"operation": operation, **given, **fields})["batch"])

    def preview(self, operation: str, filters: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """What :meth:`create` would do: nothing is stored and nobody is called."""
        body = {"operation": operation, **_given(filters=filters), **fields, "dryRun": True}
        found: dict[str, Any] = self._transport.json(ApiRequest(method="POST", path="/api/batch/create", content=body))[
            "preview"
        ]
        return found

    def _create(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        key = {"Idempotency-Key": secrets.token_hex(16)}
        return self._transport.json(
            ApiRequest(method="POST", path=path, content=body, headers={**key, **(headers or {})})
        )

    def _created(self, batch_id: str, operation: str, total: int, answer: Mapping[str, Any]) -> Batch:
        return Batch(id=batch_id, operation=operation, status=answer.get("status", "pending"), total=total, raw=answer)

    # --- Reading ----------------------------------------------------------------------------------

    def get(self, batch: Batch | str) -> Batch:
        """How far it is."""
        return Batch.of(self._read(f"/api/batch/{_id(batch)}")["batch"])

    def wait(self, batch: Batch | str, *, timeout: float | None = None, progress: bool | None = None) -> Batch:
        """Wait until the batch is final and return it, whatever became of it; ``timeout`` in seconds.

        ``progress``: show a bar on standard error; None: where that is a terminal.
        """
        return waiting.wait(lambda: self.get(batch), timeout_seconds=timeout, show=progress)

    def results(self, batch: Batch | str) -> Iterator[dict[str, Any]]:
        """Every result, in the order of the items, read page by page as you go on (document 004's shape)."""
        return self._pages(f"/api/batch/{_id(batch)}/results", lambda answer: answer["batch"]["results"])

    def items(self, batch: Batch | str, *, status: str | None = None) -> Iterator[dict[str, Any]]:
        """Every item with its input and state, or those of one status."""
        return self._pages(f"/api/batch/{_id(batch)}/items", lambda answer: answer["items"], status=status)

    def errors(self, batch: Batch | str, *, category: str | None = None) -> Iterator[dict[str, Any]]:
        """Every error of the batch's items."""
        return self._pages(f"/api/batch/{_id(batch)}/errors", lambda answer: answer["errors"], category=category)

    def files(self, batch: Batch | str) -> list[StoredFile]:
        """The files that the batch made, oldest first; :meth:`download` gets them."""
        rows = self._pages(f"/api/batch/{_id(batch)}/files", lambda answer: answer["files"])
        return [uploads.stored_file(row) for row in rows]

    def analytics(self, batch: Batch | str) -> dict[str, Any]:
        """Rates, durations, errors by category, cost (document 002)."""
        return self._dictionary(f"/api/batch/{_id(batch)}/analytics", "analytics")

    def viz(self, batch: Batch | str) -> dict[str, Any]:
        """What document 004 draws: overview, distributions, percentiles."""
        return self._dictionary(f"/api/batch/{_id(batch)}/viz", "visualization")

    def stats(self) -> dict[str, Any]:
        """Numbers over all your batches."""
        return self._dictionary("/api/batch/stats", "stats")

    def history(
        self,
        *,
        operation: str | None = None,
        status: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
    ) -> Iterator[Batch]:
        """Your batches, newest first, read page by page as you go on."""
        filters = {
            "operation": operation,
            "status": status,
            "createdAfter": _instant(created_after),
            "createdBefore": _instant(created_before),
        }
        return map(Batch.of, self._pages("/api/batch/history", lambda answer: answer["batches"], **filters))

    def _read(self, path: str, **params: Any) -> Any:
        return self._transport.json(ApiRequest(method="GET", path=path, params=params))

    def _dictionary(self, path: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._read(path)[name]
        return found

    def _pages(self, path: str, rows_of: Any, **params: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            rows = rows_of(self._read(path, limit=PAGE, offset=offset, **params))
            yield from rows
            offset += len(rows)
            if len(rows) < PAGE:
                return

    # --- Steering ---------------------------------------------------------------------------------

    def start(self, batch: Batch | str) -> Batch:
        """Start one that waits for it."""
        return self._steer(batch, "start")

    def pause(self, batch: Batch | str) -> Batch:
        """Start no further call."""
        return self._steer(batch, "pause")

    def resume(self, batch: Batch | str) -> Batch:
        """Go on."""
        return self._steer(batch, "resume")

    def cancel(self, batch: Batch | str) -> Batch:
        """End it; calls in flight end by themselves."""
        return self._steer(batch, "cancel")

    def retry(self, batch: Batch | str) -> int:
        """Run the failed items again; returns how many."""
        retried: int = self._verb(batch, "retry")["retried"]
        return retried

    def cleanup(self, days_to_keep: int) -> int:
        """Remove final batches older than that; returns how many."""
        request = ApiRequest(method="DELETE", path="/api/batch/cleanup", params={"daysToKeep": days_to_keep})
        deleted: int = self._transport.json(request)["deleted"]
        return deleted

    def _steer(self, batch: Batch | str, verb: str) -> Batch:
        self._verb(batch, verb)
        return self.get(batch)

    def _verb(self, batch: Batch | str, verb: str) -> Any:
        # After a lost answer the server may have done it: to ask again would be answered by a 409.
        return self._transport.json(
            ApiRequest(method="POST", path=f"/api/batch/{_id(batch)}/{verb}", content={}, repeatable=False)
        )

    # --- Files ------------------------------------------------------------------------------------

    def upload(self, content: uploads.Content, *, name: str | None = None, media_type: str | None = None) -> StoredFile:
        """Upload a file: its path, its bytes, or an open binary file. Large ones are streamed."""
        return self._upload([uploads.described(content, name, media_type)])[0]

    def upload_files(self, paths: Iterable[str | Path]) -> list[StoredFile]:
        """Upload many, some fifty in a request."""
        groups = uploads.groups([Path(path) for path in paths])
        return [
            stored
            for group in groups
            for stored in self._upload([uploads.described(path, None, None) for path in group])
        ]

    def _upload(self, contents: Sequence[tuple[str, str, uploads.Content]]) -> list[StoredFile]:
        with uploads.Form(contents) as form:
            request = ApiRequest(method="POST", path="/api/files", files=form.fields, repeatable=False)
            return uploads.stored_files(self._transport.json(request))

    def download(self, file: StoredFile | str, path: str | Path | None = None) -> bytes:
        """A file's bytes; with ``path`` they are streamed into that file, and nothing is returned."""
        file_id = file.id if isinstance(file, StoredFile) else file
        request = ApiRequest(method="GET", path=f"/api/files/{file_id}")
        if path is None:
            return b"".join(self._transport.chunks(request))
        uploads.write(self._transport.chunks(request), Path(path))
        return b""


def _id(batch: Batch | str) -> str:
    return batch.id if isinstance(batch, Batch) else batch


def _given(**fields: Value | None) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None}


def _instant(moment: datetime | str | None) -> str | None:
    return moment.astimezone().isoformat() if isinstance(moment, datetime) else moment
