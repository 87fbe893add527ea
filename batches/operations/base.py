"""The contract between the engine and an operation, and the registry (``settings.OPERATIONS``)."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.utils.module_loading import import_string

from batches.options import NewItem
from batches.outcomes import Outcome
from batches.states import Channel
from providers.base import Provider


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an item. ``reference`` is the attempt id that travels in the call."""

    item_id: int
    owner_id: int
    key: str
    input: Mapping[str, Any]
    parameters: Mapping[str, Any]
    provider: Provider
    reference: str
    timeout_seconds: float


class Operation(ABC):
    """What a batch does. Instances are shared by thousands of greenlets: keep no state in them."""

    name: ClassVar[str]
    channel: ClassVar[Channel]

    @abstractmethod
    def run(self, attempt: Attempt) -> Outcome:
        """Make the call for one item. Raises :class:`providers.base.ProviderError`; any other exception is a bug of
        the operation and is recorded as a permanent ``internal`` error of the item."""

    def items_of_lines(self, owner_id: int, first: int, lines: Sequence[bytes]) -> Sequence[NewItem]:
        """The items of consecutive lines of a source, ``first`` being the number of the first one, from 1.

        Raises :class:`batches.problems.InvalidInput` with a problem per bad line. Operations without sources keep this.
        """
        raise TypeError(f"{self.name} takes no items from a file.")


class UnknownOperation(LookupError):
    """No operation is registered under that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown operation {name!r}. Known: {', '.join(operation_names())}.")


def operation_names() -> list[str]:
    """The registered names, sorted."""
    return sorted(settings.OPERATIONS)


@functools.cache
def get_operation(name: str) -> Operation:
    """The operation of that name, one instance per process. Raises :class:`UnknownOperation`."""
    if name not in settings.OPERATIONS:
        raise UnknownOperation(name)
    operation: Operation = import_string(settings.OPERATIONS[name])()
    return operation
