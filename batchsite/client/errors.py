"""What can go wrong, as exceptions; one base class for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchsite.client.memory import OperationsResult


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request: where, and why."""

    path: str
    message: str
    code: str


class BatchClientError(Exception):
    """The request did not succeed. ``status`` is the HTTP status, None where there was no answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        problems: Sequence[Problem] = (),
        retry_after: float | None = None,
    ) -> None:
        lines = [message, *(f"  {one.path or '(request)'}: {one.message}" for one in problems[:20])]
        super().__init__("\n".join(lines))
        self.status = status
        self.code = code
        self.problems = tuple(problems)
        self.retry_after = retry_after


class InvalidRequest(BatchClientError):
    """The server refuses the request as it is; ``problems`` names each field. Nothing was stored."""


class AuthenticationFailed(BatchClientError):
    """No key, or one that is unknown or revoked."""


class PermissionDenied(BatchClientError):
    """The key may not do this: it has the scope ``read`` only."""


class NotFound(BatchClientError):
    """There is no such batch or file, or it is another owner's."""


class Conflict(BatchClientError):
    """The batch's status does not allow this."""


class RateLimited(BatchClientError):
    """Too many requests, for longer than the client's patience; ``retry_after`` seconds to go."""


class ServerFailed(BatchClientError):
    """The server failed, again and again."""


class ConnectionFailed(BatchClientError):
    """The server could not be reached, or the connection was lost; then the request may have had its effect."""


class WaitTimedOut(BatchClientError, TimeoutError):
    """The batch is not final yet. It goes on."""


class OperationsInterrupted(BatchClientError):
    """A later part of the operations could not be sent; ``result`` says what became of the earlier ones."""

    def __init__(self, message: str, result: OperationsResult) -> None:
        super().__init__(message)
        self.result = result


BY_STATUS: Mapping[int, type[BatchClientError]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_of_answer(status: int, body: Any, retry_after: float | None) -> BatchClientError:
    """The exception for an error answer, in whichever of the API's shapes it came."""
    kind = BY_STATUS.get(status) or (ServerFailed if status >= 500 else InvalidRequest)
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):  # document 003
        message, code = str(error.get("message") or ""), str(error.get("code") or "")
        return kind(f"{status}: {message}", status=status, code=code, problems=_detail(error), retry_after=retry_after)
    problems = _problems(body)
    code = problems[0].code if problems else ""
    message = str(error) if error else "The server gave no reason."
    named = [one for one in problems if one.path or one.message != message]
    return kind(f"{status}: {message}", status=status, code=code, problems=named, retry_after=retry_after)


def _problems(body: Any) -> list[Problem]:
    details = body.get("details") if isinstance(body, Mapping) else None
    listed = details.get("errors") if isinstance(details, Mapping) else None
    if not isinstance(listed, list):
        return []
    entries = [entry for entry in listed if isinstance(entry, Mapping)]
    return [
        Problem(str(entry.get("path") or ""), str(entry.get("message") or ""), str(entry.get("code") or ""))
        for entry in entries
    ]


def _detail(error: Mapping[str, Any]) -> list[Problem]:
    details = error.get("details")
    if not isinstance(details, Mapping) or not details:
        return []
    path = str(details.get("field") or "")
    words = ", ".join(f"{name}: {value}" for name, value in details.items() if name != "field")
    return [Problem(path, words, str(details.get("reason") or error.get("code") or ""))]
