"""Messages in doubt, settled by a person who knows."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import BatchView, body_of, user_id
from batches.operations.payload import Fields, Problems
from batches.steering import read_positions
from batches.text_messages import doubts

SENT, NOT_SENT = "sent", "notSent"


class SettleView(BatchView):
    """``POST /api/batch/{id}/settle``."""

    def post(self, request: Request, batch_id: str) -> Response:
        """Let the items that are ``unknown``, or those that ``positions`` names, succeed or fail."""
        batch = self.batch(request, batch_id)
        problems = Problems()
        fields = Fields(body_of(request), problems)
        word = fields.choice("as", choices=(SENT, NOT_SENT), default="")
        if body_of(request).get("as") is None:
            problems.add("as", f"Must be {SENT} or {NOT_SENT}.", "required")
        problems.raise_if_any()
        positions = read_positions({name: value for name, value in body_of(request).items() if name != "as"})
        verb = doubts.confirm if word == SENT else doubts.give_up
        settled = verb(batch, actor_id=user_id(request), positions=positions)
        return Response({"success": True, "settled": settled})
