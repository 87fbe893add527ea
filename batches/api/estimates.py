"""What a batch would cost, before it is: any create's body in, nothing stored, nobody called."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from batches.api.base import ApiView, body_of, user_id
from batches.api.shapes import money
from batches.api.throttling import CreationThrottle
from batches.money.costs import charge
from batches.money.estimating.bodies import estimate_of
from batches.money.estimating.estimate import Estimate, InMode
from batches.money.estimating.workload import Span
from batches.states import Channel
from providers.prices import prices_of

MOST_REFUSED_SHOWN = 1_000


class EstimateView(ApiView):
    """``POST /api/batch/estimate``."""

    only_reads: ClassVar[bool] = True
    throttle_classes: tuple[type[BaseThrottle], ...] = (CreationThrottle,)

    def post(self, request: Request) -> Response:
        """The body of any create; with ``operation`` where it is not one of documents 001 and 002."""
        return Response({"success": True, "estimate": estimate_shape(estimate_of(user_id(request), body_of(request)))})


def estimate_shape(found: Estimate) -> dict[str, Any]:
    """Spans from ``low`` to ``high``; money as text; seconds. Null where something has no price, or is not counted."""
    new, work, most = found.new, found.work, found.new.options.max_cost
    prices = prices_of(new.provider)
    return {
        "operation": new.operation,
        "mode": new.mode.name,
        "provider": new.provider or None,
        "model": found.provider.model or None,
        "usesSandbox": found.provider.uses_sandbox,
        "items": found.items,
        "calls": span_shape(work.calls),
        "tokens": {"input": span_shape(work.input_tokens), "output": span_shape(work.output_tokens)}
        if found.channel == Channel.AI
        else None,
        "segments": work.segments.high if found.channel == Channel.SMS else None,
        "currency": prices.currency if prices else None,
        "pricesAsOf": prices.as_of.isoformat() if prices else None,
        **mode_shape(found.chosen),
        "modes": {"fast": mode_shape(found.fast), "economy": mode_shape(found.economy) if found.economy else None},
        "maxCost": None if most is None else money(most),
        "withinMaxCost": found.is_within_budget,
        "refusedItems": found.refused_items,
        "refused": [
            {"path": one.path, "message": one.message, "code": one.code} for one in found.refused[:MOST_REFUSED_SHOWN]
        ],
        "basedOn": {
            "items": found.looked.looked_at,
            "unknownItems": found.looked.unknown,
            "earlierCalls": found.seen.calls,
        },
        "warnings": list(new.warnings),
    }


def mode_shape(mode: InMode) -> dict[str, Any]:
    """``cost`` is what providers ask, ``charge`` what is asked of the user for it."""
    price, duration = mode.price, mode.duration
    return {
        "cost": {"low": money(price.low), "high": money(price.high)} if price else None,
        "charge": {"low": money(charge(price.low)), "high": money(charge(price.high))} if price else None,
        "duration": {"low": duration.low, "high": duration.high, "decidedBy": duration.decided_by},
    }


def span_shape(span: Span) -> dict[str, int]:
    """The lowest number and the highest."""
    return {"low": span.low, "high": span.high}
