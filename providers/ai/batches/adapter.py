"""What all batch dialects share: what a line's result means is decided where a fast answer's meaning is."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from providers.ai.chat import ChatAdapter
from providers.base import BatchLimits, ChatRequest, ErrorCategory, LineResult, ProviderError, RemoteBatch, RemoteState
from providers.http import FileBody, Response, read_json

CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}\Z")
SLOWEST_UPLOAD = 100_000.0
"""Bytes a second."""
ODD_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class BatchAdapter(ChatAdapter):
    """Asks many questions at once. The subclasses say how the provider spells it."""

    batch_limits: ClassVar[BatchLimits]
    id_name: ClassVar[str] = "custom_id"
    """Where a line's result holds our id."""
    exchange_seconds: ClassVar[float] = 60.0
    upload_seconds: ClassVar[float] = 1800.0
    """At most, of the largest file."""
    download_seconds: ClassVar[float] = 3600.0

    @abstractmethod
    def encoded_line(self, custom_id: str, question: bytes) -> bytes:
        """One line of the upload, without its break; ``question``: the body of a fast call."""

    @abstractmethod
    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        """See :meth:`providers.base.BatchProvider.submit_batch`."""

    @abstractmethod
    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        """See :meth:`providers.base.BatchProvider.find_batch`."""

    @abstractmethod
    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        """See :meth:`providers.base.BatchProvider.look_at_batch`."""

    @abstractmethod
    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        """See :meth:`providers.base.BatchProvider.batch_results`."""

    @abstractmethod
    def outcome(self, result: Any) -> Response | ProviderError:
        """A line's result as the answer of a fast call, or its error where it never got that far.

        Whatever it raises for an odd shape means that the result is none.
        """

    def batch_line(self, custom_id: str, request: ChatRequest) -> bytes:
        """One question as a line of JSON with its break. Raises :class:`ProviderError`."""
        if not CUSTOM_ID.match(custom_id):
            raise ValueError(f"{custom_id!r} is no id of a line")
        return self.encoded_line(custom_id, self.encoded(request, request.model or self.model)) + b"\n"

    def cancel_batch(self, remote_id: str) -> None:
        """Ask for its end; one that has ended meanwhile is no error."""
        try:
            self.call("POST", self.cancel_path(remote_id))
        except ProviderError as refusal:
            if refusal.status not in {400, 409} or self.look_at_batch(remote_id).state is RemoteState.WAITING:
                raise

    @abstractmethod
    def cancel_path(self, remote_id: str) -> str:
        """Where a batch is asked to end, below the base URL."""

    # --- What the dialects use --------------------------------------------------------------------

    def call(self, method: str, path: str, body: bytes | FileBody = b"") -> Response:
        """An exchange of JSON, ``path`` below the base URL; a body on disk may take as long as an upload."""
        return self.files.call(
            method,
            self.files.prefix + path,
            body,
            timeout_seconds=self.patience(body),
            headers={"Content-Type": "application/json"} if body else {},
        )

    def patience(self, body: bytes | FileBody) -> float:
        """Seconds that an exchange may take. An upload's are by its size: who trickles his answer to a small one must
        not keep a worker's place for as long as the largest would take."""
        if isinstance(body, bytes):
            return self.exchange_seconds
        return min(self.upload_seconds, self.exchange_seconds + body.size / SLOWEST_UPLOAD)

    def results_in(self, path: str) -> Iterator[LineResult]:
        """The results in a file, ``path`` below the base URL."""
        for line in self.files.lines(self.files.prefix + path, timeout_seconds=self.download_seconds):
            yield self.read_line(line)

    def read_line(self, line: bytes) -> LineResult:
        """One line of a file of results; where not even our id can be read it is empty."""
        try:
            return self.read_result(read_json(line))
        except (ValueError, RecursionError):
            return LineResult(custom_id=self._id_in(line), error=self.unreadable())

    def read_result(self, result: Any) -> LineResult:
        """What became of one line. Never raises."""
        found = self.id_in(result) if isinstance(result, dict) else None
        custom_id = found if isinstance(found, str) else ""
        try:
            outcome = self.outcome(result)
            if isinstance(outcome, Response):
                if not 100 <= outcome.status < 600:
                    raise ValueError("no status")
                if not 200 <= outcome.status < 300:
                    raise self.files.failure(outcome)
                return LineResult(custom_id=custom_id, answer=self.answer(outcome))
        except ProviderError as error:
            outcome = error
        except ODD_SHAPE:
            outcome = self.unreadable()
        return LineResult(custom_id=custom_id, error=outcome)

    def id_in(self, result: dict[str, Any]) -> Any:
        """Our id in a line's result."""
        return result.get(self.id_name)

    def _id_in(self, line: bytes) -> str:
        """Our id in what is no JSON; within a text of the answer its quotes would be escaped."""
        found = re.search(rb'"%s"\s*:\s*"([A-Za-z0-9_-]{1,64})"' % self.id_name.encode(), line)
        return found[1].decode() if found else ""

    def unreadable(self) -> ProviderError:
        """The error for a line of unknown shape: it may have been answered and paid for."""
        return self.line_error("invalid_response", "sent a line that is no result", ErrorCategory.SERVER)

    def ended_early(self, code: str) -> ProviderError:
        """The error for a line that was not run: its batch, or its time, ended before."""
        if code == "batch_cancelled":
            return self.line_error(code, "had its batch cancelled before this line", ErrorCategory.CANCELLED)
        return self.line_error(code, "did not get to this line in time", ErrorCategory.TIMEOUT)

    def line_error(self, code: str, what: str, category: ErrorCategory) -> ProviderError:
        """A transient error of one line, or of a whole file or list of them."""
        return ProviderError(
            f"{self.alias} {what}", category=category, code=code, permanent=False, surely_not_sent=False
        )

    def no_batch(self, response: Response) -> ProviderError:
        """The error for a 2xx answer that tells nothing of a batch."""
        return self.files.invalid_response(response, "a body that is no batch")


@contextmanager
def before_creation() -> Iterator[None]:
    """Whatever fails inside, no batch was created by it."""
    try:
        yield
    except ProviderError as error:
        error.surely_not_sent = True
        raise


def part(text: object, safe: str = "") -> str:
    """A provider's id as a part of a path."""
    return quote(str(text), safe=safe)


def identifier(value: object) -> str:
    """A provider's id of something, fit for a path and a row; empty for what is none."""
    usable = isinstance(value, str) and IDENTIFIER.match(value) and ".." not in value
    return str(value) if usable else ""


def word(value: object) -> str:
    """A state as its provider calls it, fit to be kept."""
    return identifier(value) or "unknown"


def whole(value: object) -> int | None:
    """A count, which some providers write as text; None for what is none."""
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
    except ValueError:
        return None
    return number if 0 <= number < 2**53 else None
