"""The contract between the engine and an operation, and the registry (``settings.OPERATIONS``).

To write an operation, make a module ``batches/operations/<name>.py`` with one class and add a line to
``settings.OPERATIONS``. From then on ``POST /api/batch/create`` takes it by its name. The class has

- ``build``: from a client's body to a :class:`NewBatch`, or :class:`InvalidInput` with every problem in it. Read the
  body through :class:`batches.operations.payload.Fields` and end with ``fields.refuse_unknown()`` and
  ``problems.raise_if_any()``; ``batch_options.read_options`` reads what all operations share. Store nothing.
- ``run``: one item, to an :class:`Outcome`. It may run twice (a worker died after it, before its outcome was
  committed), so it must do the same the second time. Its result is a small JSON object; ``Succeeded(quality=...)`` in
  [0, 1] feeds the quality distribution; what an item did wrong is ``Rejected`` (for good) or ``Retry``.
- what the call used: a model is asked by ``attempt.ask``, which counts the tokens; others add to ``attempt.used``.
- ``asks_models = True`` where ``attempt.ask`` is all that ``run`` asks of outside, and ``modes.read_mode`` in
  ``build``: then it also runs in economy mode. There ``run`` is called to learn its question, and again from its start
  when the answer has come: the same item must ask the same question again, so no time and nothing random belongs into
  it, and ``attempt.ask`` raises :class:`Asked`, which is no ``Exception``: let it pass.
- items either in ``NewBatch.items``, or, when they may be many, ``source=Paged(start, number)`` and ``next_items``.
- ``finish``, with ``finishes = True``, when something is left to be made of all items: a file, a summary.
- ``preview`` when a dry run can say more than how many items there would be.

An operation without a provider sets ``NewBatch.provider`` to ``""``. One that uses the database in ``run`` sets
``uses_database = True``; then the connection is given back after each item.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from batches.options import ItemPage, NewBatch, NewItem, Paged
from batches.outcomes import Outcome
from batches.problems import InvalidInput, Problem
from batches.states import Channel
from providers.base import ChatAnswer, ChatProvider, ChatRequest, Provider, ProviderError
from providers.prices import tokens_of

if TYPE_CHECKING:
    from batches.models import Batch
    from batches.money.estimating.workload import Workload

SHOWN_IN_PREVIEW = 10


class Asked(BaseException):
    """A question whose answer comes later, in economy mode. No ``Exception``: no operation takes it for a failure."""

    def __init__(self, request: ChatRequest) -> None:
        super().__init__("the answer comes later")
        self.request = request


class Answers(Protocol):
    """What is known already, in economy mode."""

    def to(self, request: ChatRequest) -> ChatAnswer:
        """The answer to this very question. Raises :class:`Asked` where it has not come yet."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an item. ``reference`` is the attempt id that travels in the call.

    ``used``: what its calls used so far, in the units that providers bill (:mod:`providers.prices`). It is counted for
    the batch with whatever outcome, so a call that was billed and whose answer was of no use is as well.
    """

    item_id: int
    owner_id: int
    key: str
    input: Mapping[str, Any]
    parameters: Mapping[str, Any]
    provider: Provider
    reference: str
    timeout_seconds: float
    used: Counter[str] = field(default_factory=Counter, compare=False)
    answers: Answers | None = field(default=None, compare=False)
    """In economy mode; their tokens were counted when they came."""
    foresee: Callable[[ChatRequest], None] | None = field(default=None, compare=False)
    """Told each question before it is asked, where the account's tokens are limited."""

    def ask(self, request: ChatRequest) -> ChatAnswer:
        """Ask the attempt's model, and count the tokens. Raises :class:`providers.base.ProviderError`."""
        if self.answers is not None:
            return self.answers.to(request)
        if self.foresee is not None:
            self.foresee(request)
        try:
            answer = cast(ChatProvider, self.provider).complete(request)
        except ProviderError as error:
            if error.billed is not None:
                self.used.update(tokens_of(error.billed))
            raise
        self.used.update(tokens_of(answer))
        return answer


class CannotFinish(Exception):
    """What an operation raises in ``finish`` when trying again cannot help. The message is shown to the owner."""


class Operation(ABC):
    """What a batch does. Instances are shared by thousands of greenlets: keep no state in them."""

    name: ClassVar[str]
    channel: ClassVar[Channel]
    summary: ClassVar[str] = ""
    """One sentence for people, shown by ``GET /api/operations``."""
    accepts: ClassVar[Mapping[str, str]] = {}
    """The fields of a body that are this operation's own, each with a sentence about it, for people."""
    uses_database: ClassVar[bool] = False
    asks_models: ClassVar[bool] = False
    """Whether it can run in economy mode."""
    finishes: ClassVar[bool] = False
    """Whether :meth:`finish` is called after the last item."""

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Read a client's body (without its ``operation``). Raises :class:`InvalidInput` with every problem in it.

        Nothing is stored but files named in ``NewBatch.stored_files``. Operations that are only started from within
        keep this.
        """
        raise InvalidInput([Problem("operation", f"{self.name} cannot be created this way.", "not_available")])

    def next_items(
        self, owner_id: int, parameters: Mapping[str, Any], cursor: Mapping[str, Any], most: int
    ) -> ItemPage:
        """The page of a :class:`Paged` source at ``cursor``, of at most ``most`` items.

        Called by the dispatcher, inside the transaction that stores the items together with the next cursor: a load
        that is cut off anywhere goes on exactly where it stood, and asks for the same page again. So read with a bound
        (``id > cursor ORDER BY id LIMIT most``, never OFFSET), fix the end of the list in ``Paged.start`` (the highest
        id when the batch was built), write nothing and call nobody. An exception ends the load: what was loaded runs.
        """
        raise TypeError(f"{self.name} has no items of its own.")

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Make what is to be made of all items, and return a small JSON object: the batch's ``outcome``.

        Called in a worker when every item is final, whatever became of them, and not for a cancelled batch. The batch
        stays running (with ``finishing: true`` in its shape) until this has returned; then it is completed or failed by
        its items. It may be called again from the start when a worker died, or when failed items were retried
        afterwards, so it must not mind what an earlier call left: :func:`batches.result_files.store_result`, which
        keeps files that the API hands out, replaces one of the same name. Read items in pages of a few thousand
        (``position > last ORDER BY position``): the worker runs other calls meanwhile. Raise :class:`CannotFinish` to
        end the batch as failed; any other exception is tried again a few times.
        """
        raise TypeError(f"{self.name} has nothing to finish.")

    def workload(self, attempt: Attempt) -> Workload | None:
        """What ``run`` would ask of outside about this item, for an estimate: nobody is called, and nothing is stored.

        ``attempt.item_id`` is 0: there is no such item. Without an answer here ``run`` is called with a provider that
        ends it at its first call; so give one where ``run`` stores something before it, or makes more than one.
        """
        return None

    def preview(self, owner_id: int, new: NewBatch) -> Mapping[str, Any]:
        """What a dry run (``"dryRun": true``) answers: nothing is stored, and nobody is called.

        By default how many items there would be and the first of them.
        """
        items: Sequence[NewItem] = new.items[:SHOWN_IN_PREVIEW]
        total = len(new.items)
        if isinstance(new.source, Paged):
            items = self.next_items(owner_id, new.parameters, new.source.start, SHOWN_IN_PREVIEW).items
            total = new.source.number
        elif new.source is not None:
            total = new.source.number
        return {"total": total, "items": [{"id": item.key, **item.input} for item in items]}

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
