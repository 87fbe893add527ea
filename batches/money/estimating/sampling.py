"""Which items an estimate looks at: all of a text campaign, whose cost is exact, and some of anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.core.files.storage import default_storage

from batches.files import stored_path
from batches.models import StoredFile
from batches.money.estimating.listening import workload_of
from batches.money.estimating.workload import Total, Workload
from batches.operations.base import Operation, get_operation
from batches.options import NewBatch, NewItem, Paged, Source
from batches.states import Channel
from providers.base import Provider

MOST_LOOKED_AT = 100
LONGEST_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """What was looked at. ``most``: the largest workload of one item; ``unknown``: items of which nothing is known."""

    looked_at: int
    unknown: int
    workload: Workload
    most: Workload

    def of_all(self, items: int) -> Workload:
        """Of so many items, if the others are as these."""
        return self.workload.scaled(items, self.looked_at) if self.looked_at else Workload()


def items_in(new: NewBatch) -> int:
    """How many items a batch would have."""
    return new.source.number if new.source else len(new.items)


def sample(owner_id: int, new: NewBatch, provider: Provider, *, most: int = MOST_LOOKED_AT) -> Sample:
    """Look at a batch's items: at all of a text campaign, of any other at ``most``, spread over the list."""
    operation = get_operation(new.operation)
    items = _items(operation, owner_id, new, len(new.items) if operation.channel == Channel.SMS else most)
    return sample_of(operation, provider, owner_id, new.parameters, items)


def sample_of(
    operation: Operation, provider: Provider, owner_id: int, parameters: Mapping[str, Any], items: Iterable[NewItem]
) -> Sample:
    """Look at these items."""
    total, unknown = Total(), 0
    most = Workload()
    for item in items:
        found = workload_of(operation, provider, owner_id, parameters, item)
        if found is None:
            unknown += 1
            continue
        total.add(found)
        most = _larger(most, found)
    return Sample(total.items, unknown, total.workload, most)


def _larger(one: Workload, other: Workload) -> Workload:
    """The higher number of each."""
    return max(one, other, key=lambda each: sum(each.used(highest=True).values()))


def _items(operation: Operation, owner_id: int, new: NewBatch, most: int) -> Sequence[NewItem]:
    if isinstance(new.source, Paged):
        return operation.next_items(owner_id, new.parameters, new.source.start, most).items
    if isinstance(new.source, Source):
        stored = StoredFile.objects.get(pk=new.source.file_id)
        with default_storage.open(stored_path(owner_id, stored.public_id)) as file:
            lines = list(islice(iter(lambda: file.readline(LONGEST_LINE), b""), most))
        return operation.items_of_lines(owner_id, 1, lines)
    step = -(-len(new.items) // most) if most else 1
    return new.items[:: max(1, step)]
