"""What all endpoints share: whose batch it is, pages of lists, one create."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from batches import idempotency
from batches.api.parsers import StrictJSONParser
from batches.api.permissions import HasScope
from batches.api.throttling import CreationThrottle
from batches.files import discard_files
from batches.idempotency import Reply
from batches.models import Batch
from batches.options import NewBatch
from batches.problems import InvalidInput, Problem
from batches.provider_accounts.credentials import look_again
from batches.submission import submit_batch

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100
LARGEST_OFFSET = 1_000_000_000

Row = TypeVar("Row", bound=Model)


class AlwaysJSON(BaseContentNegotiation):
    """There is one representation, whatever the client says it prefers."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The parser of the content type; None makes it a 415."""
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """The first."""
        return renderers[0], renderers[0].media_type


def user_id(request: Request) -> int:
    """The id of who calls; the permission classes let nobody in who has none."""
    return cast(int, request.user.pk)


def body_of(request: Request) -> Mapping[str, Any]:
    """The body: the parser lets nothing but objects pass, and none is an empty one."""
    return cast(Mapping[str, Any], request.data)


def optional_body_of(request: Request) -> Mapping[str, Any]:
    """The body of a verb that needs none: a form without fields, which some clients send by habit, is none either."""
    form = (request.content_type or "").startswith(("multipart/form-data", "application/x-www-form-urlencoded"))
    sent = request._request
    return {} if form and not sent.POST and not sent.FILES else body_of(request)


class ApiView(APIView):
    """JSON in, JSON out, for who is signed in and whose key has the scope.

    ``only_reads``: its POST changes nothing and needs the scope ``read``.
    """

    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated, HasScope)
    only_reads: ClassVar[bool] = False
    parser_classes: tuple[type[BaseParser], ...] = (StrictJSONParser,)
    content_negotiation_class = AlwaysJSON

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who may call is settled first; then the keys that were entered meanwhile count."""
        super().initial(request, *args, **kwargs)
        look_again()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """REST framework takes a body without an announced length for none; a chunked one is read to the limit."""
        if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH"):
            request.META["CONTENT_LENGTH"] = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return super().initialize_request(request, *args, **kwargs)


class BatchView(ApiView):
    """An endpoint of one batch. ``operation`` restricts it to batches of that kind."""

    operation: ClassVar[str | None] = None

    def batch(self, request: Request, batch_id: str) -> Batch:
        """The user's batch; another owner's does not exist for them."""
        batches = Batch.objects.owned_by(request.user).filter(public_id=batch_id)
        if self.operation is not None:
            batches = batches.filter(operation=self.operation)
        batch = batches.first()
        if batch is None:
            raise NotFound("Batch not found.")
        return batch


class CreateBatchView(ApiView):
    """A front door that takes new batches: a builder for the body, a shape for the answer."""

    throttle_classes: tuple[type[BaseThrottle], ...] = (CreationThrottle,)

    @abstractmethod
    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Read the body. Raises :class:`InvalidInput`."""

    @abstractmethod
    def answer(self, batch: Batch) -> dict[str, Any]:
        """What a create answers."""

    def post(self, request: Request) -> Response:
        """Validate, store, answer 202; under an ``Idempotency-Key`` once."""
        reply = self._reply(request)
        headers = {"Idempotent-Replayed": "true"} if reply.replayed else None
        return Response(reply.body, reply.status_code, headers=headers)

    def _reply(self, request: Request) -> Reply:
        owner_id, payload = user_id(request), body_of(request)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            new = self.build(owner_id, payload)
            return self._keeping_files(owner_id, new, lambda: self._submit(owner_id, new))
        once = idempotency.Request.of(owner_id=owner_id, key=key, path=request.path, body=payload)
        if earlier := idempotency.earlier_reply(once):
            return earlier
        new = self.build(owner_id, payload)
        return self._keeping_files(
            owner_id, new, lambda: idempotency.reply_once(once, lambda: self._submit(owner_id, new))
        )

    def _keeping_files(self, owner_id: int, new: NewBatch, act: Callable[[], Reply]) -> Reply:
        """Files stored for the batch stay only if it was this request that submitted it."""
        submitted = False
        try:
            reply = act()
            submitted = not reply.replayed
        finally:
            if not submitted:
                discard_files(owner_id, new.stored_files)
        return reply

    def _submit(self, owner_id: int, new: NewBatch) -> Reply:
        return Reply(202, self.answer(submit_batch(owner_id=owner_id, new=new)))


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One stretch of a list."""

    rows: list[Row]
    count: int
    limit: int
    offset: int

    @property
    def position(self) -> dict[str, int]:
        """Where the page lies, as every list answers it; ``count`` is of the whole list."""
        return {"count": self.count, "limit": self.limit, "offset": self.offset}


def page_of(rows: QuerySet[Row], request: Request, *, count: int | None = None) -> Page[Row]:
    """The page that was asked for. Raises :class:`InvalidInput` for limits that are none."""
    problems: list[Problem] = []
    limit = _whole_number(request, "limit", DEFAULT_LIMIT, range(1, LARGEST_LIMIT + 1), problems)
    offset = _whole_number(request, "offset", 0, range(LARGEST_OFFSET + 1), problems)
    if problems:
        raise InvalidInput(problems)
    total = rows.count() if count is None else count
    return Page(list(rows[offset : offset + limit]), total, limit, offset)


def _whole_number(request: Request, name: str, default: int, allowed: range, problems: list[Problem]) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 12 and int(text) in allowed:
        return int(text)
    message = f"Must be a whole number between {allowed[0]} and {allowed[-1]}."
    problems.append(Problem(name, message, "out_of_range"))
    return default


def choice_of(request: Request, name: str, choices: list[str]) -> str | None:
    """A filter from a closed list of words; None where it is not given."""
    value = request.query_params.get(name)
    if value is not None and value not in choices:
        raise InvalidInput([Problem(name, f"Must be one of {', '.join(choices)}.", "invalid_choice")])
    return value
