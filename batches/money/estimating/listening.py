"""What an item asks of outside, learned by running its operation up to its first question, which nobody hears."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NoReturn, cast

from batches.money.estimating.workload import Workload, of_message, of_picture, of_question
from batches.operations.base import Attempt, Operation
from batches.options import NewItem
from providers.base import ChatRequest, ImageRequest, Provider, TextMessage

NOBODYS = str(uuid.UUID(int=0))
"""The id of an attempt that is none."""


class Heard(BaseException):
    """What was going to be asked. No ``Exception``: no operation takes it for a failure."""

    def __init__(self, workload: Workload) -> None:
        super().__init__("nobody is called for an estimate")
        self.workload = workload


class _Listener:
    """Stands in the provider's place: is what it is, and calls nobody."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def complete(self, request: ChatRequest) -> NoReturn:
        raise Heard(of_question(request))

    def generate(self, request: ImageRequest) -> NoReturn:
        raise Heard(of_picture(request))

    def send(self, message: TextMessage) -> NoReturn:
        raise Heard(of_message(message.body))


def workload_of(
    operation: Operation, provider: Provider, owner_id: int, parameters: Mapping[str, Any], item: NewItem
) -> Workload | None:
    """What the item asks of outside. None where that cannot be known: it asks nothing, or fails before it does."""
    attempt = Attempt(
        item_id=0,
        owner_id=owner_id,
        key=item.key,
        input=item.input,
        parameters=parameters,
        provider=cast(Provider, _Listener(provider)),
        reference=NOBODYS,
        timeout_seconds=60.0,
    )
    try:
        known = operation.workload(attempt)
        if known is not None:
            return known
        operation.run(attempt)
    except Heard as heard:
        return heard.workload
    except Exception:  # whatever it is, the batch will say so of the item
        return None
    return None
