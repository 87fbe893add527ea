"""Which create a body is meant for: by its ``operation``, or, as documents 001 and 002 have none, by its items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batches.money.estimating.estimate import Estimate, estimate
from batches.operations import get_operation, operation_names
from batches.operations.messages import sms
from batches.operations.photos import rate_photos
from batches.problems import InvalidInput, Problem

BY_ITEMS = {"recipients": sms.NAME, "images": rate_photos.NAME, "imagesFile": rate_photos.NAME}


def estimate_of(owner_id: int, body: Mapping[str, Any]) -> Estimate:
    """The estimate of any create's body. Raises :class:`InvalidInput` as that create does."""
    operation = get_operation(_operation_in(body))
    return estimate(owner_id, {name: body[name] for name in body if name != "operation"}, operation.build)


def _operation_in(body: Mapping[str, Any]) -> str:
    name = body.get("operation", next((BY_ITEMS[field] for field in BY_ITEMS if field in body), None))
    if name is None:
        raise InvalidInput([Problem("operation", "Is required.", "required")])
    if not isinstance(name, str):
        raise InvalidInput([Problem("operation", "Must be a string.", "invalid_type")])
    if name not in operation_names():
        message = f"Must be one of {', '.join(operation_names())}."
        raise InvalidInput([Problem("operation", message, "unknown_operation")])
    return name
