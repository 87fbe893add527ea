"""Who wants no messages: the owner's list."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView, body_of, page_of, user_id
from batches.api.shapes import instant
from batches.files import FileMissing
from batches.models import OptOut
from batches.operations.batch_options import read_list
from batches.operations.messages.sms_recipients import NOT_A_NUMBER, normalised_number
from batches.operations.payload import Fields, Problems
from batches.problems import InvalidInput, Problem
from batches.text_messages import opt_outs
from batches.text_messages.opt_out_files import numbers_in


class OptOutsView(ApiView):
    """``/api/opt-outs``."""

    def get(self, request: Request) -> Response:
        """A page of the list, the newest first; ``?phoneNumber=`` asks for one."""
        listed = OptOut.objects.filter(owner_id=user_id(request)).order_by("-id")
        wanted = request.query_params.get("phoneNumber")
        if wanted is not None:
            number = normalised_number(wanted.strip())
            if number is None:
                raise InvalidInput([Problem("phoneNumber", NOT_A_NUMBER, "invalid_phone_number")])
            listed = listed.filter(number=number)
        page = page_of(listed, request)
        return Response({"success": True, "optOuts": [opt_out_shape(one) for one in page.rows], **page.position})

    def post(self, request: Request) -> Response:
        """Put numbers on it: ``phoneNumbers``, or the column of an uploaded CSV file, ``fileId``."""
        numbers = _numbers(request, with_file=True)
        added = opt_outs.add(user_id(request), numbers, source="api", actor_id=user_id(request))
        return Response({"success": True, "added": added, "alreadyListed": len(set(numbers)) - added})

    def delete(self, request: Request) -> Response:
        """Take ``phoneNumbers`` off it."""
        removed = opt_outs.remove(user_id(request), _numbers(request), actor_id=user_id(request))
        return Response({"success": True, "removed": removed})


def opt_out_shape(one: OptOut) -> dict[str, Any]:
    """A number, and how it came on the list."""
    return {
        "phoneNumber": one.number,
        "source": one.source,
        "keyword": one.keyword or None,
        "provider": one.provider or None,
        "createdAt": instant(one.created_at),
    }


def _numbers(request: Request, *, with_file: bool = False) -> list[str]:
    body, problems = body_of(request), Problems()
    fields = Fields(body, problems)
    file_id = fields.text("fileId", maximum=64) if with_file else ""
    fields.knows("phoneNumbers")
    fields.refuse_unknown()
    if file_id and body.get("phoneNumbers") is not None:
        problems.add("phoneNumbers", "Give either these or fileId.", "contradiction")
    problems.raise_if_any()
    if file_id:
        try:
            return numbers_in(user_id(request), file_id)
        except FileMissing:
            raise InvalidInput([Problem("fileId", "There is no such file of yours.", "unknown_file")]) from None
    numbers = []
    for index, given in enumerate(read_list(body.get("phoneNumbers"), "phoneNumbers", problems)):
        number = normalised_number(given.strip()) if isinstance(given, str) else None
        if number is None:
            problems.add(f"phoneNumbers.{index}", NOT_A_NUMBER, "invalid_phone_number")
        else:
            numbers.append(number)
    problems.raise_if_any()
    return numbers
