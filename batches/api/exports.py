"""``/api/batch/{id}/export``: results, items or errors as a file, filtered as the page is."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from batches.api.base import BatchView
from batches.choosing import ItemChoice
from batches.exporting.rows import RESULTS, WHAT, Rows
from batches.exporting.streams import FORMATS, file_response
from batches.operations.payload import Problems, text_fault, unknown_fields
from batches.states import ItemStatus
from providers.base import ErrorCategory

LONGEST_CODE, LONGEST_TEXT = 64, 200
PARAMETERS = ("format", "what", "status", "category", "code", "q")


class ExportView(BatchView):
    """``GET /api/batch/{id}/export``."""

    def get(self, request: Request, batch_id: str) -> StreamingHttpResponse:
        """The file; 400 for parameters that are none, before a byte is sent."""
        batch = self.batch(request, batch_id)
        # A field left empty in a form is one that was not filled in.
        given = {name: text for name, text in request.query_params.dict().items() if text}
        problems = Problems()
        problems.extend(unknown_fields(given, PARAMETERS))
        form = _choice(given, "format", FORMATS, FORMATS[0], problems)
        what = _choice(given, "what", WHAT, RESULTS, problems)
        choice = ItemChoice(
            status=_choice(given, "status", tuple(ItemStatus.values), "", problems),
            category=_choice(given, "category", tuple(one.value for one in ErrorCategory), "", problems),
            code=_text(given, "code", LONGEST_CODE, problems),
            text=_text(given, "q", LONGEST_TEXT, problems),
        )
        problems.raise_if_any()
        return file_response(request._request, Rows(batch, request.user, what, choice), form)


def _choice(given: dict[str, str], name: str, choices: tuple[str, ...], default: str, problems: Problems) -> str:
    value = given.get(name, default)
    if value and value not in choices:
        problems.add(name, f"Must be one of {', '.join(choices)}.", "invalid_choice")
        return default
    return value


def _text(given: dict[str, str], name: str, longest: int, problems: Problems) -> str:
    value = given.get(name)
    if fault := text_fault(value, maximum=longest, required=False):
        problems.add(name, *fault)
        return ""
    return value or ""
