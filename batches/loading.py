"""Batches too large for one request: their items come from a stored file of JSON lines, or from pages that the
operation hands over, in constant memory.

A file is checked to its end before anything is stored. Loading is done in chunks, each committed together with how far
it got, so that a load that was cut off anywhere goes on where it stood. Items run while later ones are still loading.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import IO

from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from batches.files import FileMissing, stored_path
from batches.local_copies import copies
from batches.models import Batch, StoredFile
from batches.notifications import notify_settled
from batches.operations import Operation, get_operation
from batches.options import ItemPage, NewItem, Source
from batches.problems import InvalidInput, Problem
from batches.states import BatchStatus
from batches.submission import copy_items

logger = logging.getLogger(__name__)

CHUNK_LINES = 2_000
MOST_PROBLEMS = 1_000
DUPLICATE_PARTS = 16
LONGEST_LINE = 1024 * 1024


def check_source(operation: Operation, owner_id: int, stored: StoredFile) -> Source:
    """Read the whole file once. Raises :class:`InvalidInput` with up to a thousand problems, by line number."""
    problems: list[Problem] = []
    digests = array("q")
    number = 0
    with default_storage.open(stored_path(owner_id, stored.public_id)) as file:
        for lines in _chunks(file):
            try:
                items = operation.items_of_lines(owner_id, number + 1, lines)
            except InvalidInput as refused:
                problems.extend(refused.problems)
            else:
                digests.extend(hash(item.key) for item in items)
            number += len(lines)
            if len(problems) >= MOST_PROBLEMS:
                break
    if not problems and number == 0:
        problems.append(Problem("imagesFile", "The file has no lines.", "empty"))
    if not problems:
        problems.extend(_duplicates(digests))
    if problems:
        raise InvalidInput(problems[:MOST_PROBLEMS])
    return Source(stored.pk, number)


def _duplicates(digests: array[int]) -> Iterator[Problem]:
    """Ids given twice. Eight bytes stand for each (a set of a million strings would be 100 MB), and they are looked
    through part by part, so that no table of all lines is ever in memory."""
    parts = [array("q") for _ in range(DUPLICATE_PARTS)]
    for digest in digests:
        parts[digest % DUPLICATE_PARTS].append(digest)
    for number, part in enumerate(parts):
        if len(set(part)) != len(part):
            yield from _duplicates_in_part(digests, number)


def _duplicates_in_part(digests: array[int], part: int) -> Iterator[Problem]:
    first_with: dict[int, int] = {}
    for line, digest in enumerate(digests, start=1):
        if digest % DUPLICATE_PARTS == part and (first := first_with.setdefault(digest, line)) != line:
            yield Problem(f"line.{line}.id", f"Is the id of line {first} as well.", "duplicate")


def _chunks(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Lines in chunks; a line over the limit comes cut, and is refused as no JSON."""
    while lines := list(islice(_lines(file), CHUNK_LINES)):
        yield lines


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        yield line


def load_chunk() -> int:
    """Load one chunk of the batch that has waited longest; returns how many items, 0 when there is nothing to load.

    A file in a storage far away is fetched first, once and beside the loading of others.
    """
    for batch in _unloaded().order_by("source_position", "id"):
        try:
            if not _is_near(batch):
                continue
        except (OSError, FileMissing) as error:
            return _load_next(batch.pk, fetching=error) or 0
        loaded = _load_next(batch.pk)
        if loaded is not None:
            return loaded
    return 0


def _unloaded() -> QuerySet[Batch]:
    has_source = Q(source__isnull=False) | Q(source_cursor__isnull=False)
    return Batch.objects.select_related("source").filter(has_source, loaded_at__isnull=True)


def _is_near(batch: Batch) -> bool:
    return batch.source is None or batch.is_final or copies.is_near(batch.owner_id, batch.source.public_id)


def _load_next(batch_id: int, fetching: Exception | None = None) -> int | None:
    """Load the next chunk of a batch; None when another process is at it. ``fetching``: why it cannot be."""
    with transaction.atomic():
        batch = _unloaded().select_for_update(skip_locked=True, of=("self",)).filter(pk=batch_id).first()
        if batch is None:
            return None
        if batch.is_final:
            _end(batch, total=batch.source_position)
            return 0
        try:
            if fetching is not None:
                raise fetching
            return _load(batch) if batch.source_cursor is None else _load_page(batch)
        except (OSError, FileMissing, InvalidInput, SourceFailed) as error:
            words = "Batch %s: its source cannot be read any more: %s"
            logger.error(words, batch.public_id, type(error).__name__, extra={"batch": batch.public_id})
            _fail(batch)
            return 0


def _load(batch: Batch) -> int:
    assert batch.source is not None  # noqa: S101 - the query asked for it
    with copies.open(batch.owner_id, batch.source.public_id) as file:
        file.seek(batch.source_offset)
        lines = list(islice(_lines(file), CHUNK_LINES))
        offset = file.tell()
    if not lines:
        _end(batch, total=batch.source_position)
        return 0
    items: list[NewItem] = list(
        get_operation(batch.operation).items_of_lines(batch.owner_id, batch.source_position + 1, lines)
    )
    copy_items(batch, items, first_position=batch.source_position)
    Batch.objects.filter(pk=batch.pk).update(source_offset=offset, source_position=batch.source_position + len(items))
    return len(items)


class SourceFailed(Exception):
    """The operation could not hand over its next page, and would not the next time either."""


def _load_page(batch: Batch) -> int:
    """Store a page of a :class:`Paged` source together with the cursor of the next one."""
    page = _next_page(batch)
    copy_items(batch, page.items, first_position=batch.source_position)
    position = batch.source_position + len(page.items)
    if page.next is None:
        Batch.objects.filter(pk=batch.pk).update(source_position=position)
        _end(batch, total=position)
    else:
        total = max(batch.total, position)  # of what was expected, until the last page says what there was
        Batch.objects.filter(pk=batch.pk).update(source_cursor=dict(page.next), source_position=position, total=total)
    return len(page.items)


def _next_page(batch: Batch) -> ItemPage:
    operation = get_operation(batch.operation)
    try:
        with transaction.atomic():
            return operation.next_items(batch.owner_id, batch.parameters, batch.source_cursor or {}, CHUNK_LINES)
    except (OperationalError, InterfaceError):
        raise  # the database's fault: the same page is asked for again
    except Exception as error:
        # The kind alone: exceptions of parsers may quote what they parsed.
        raise SourceFailed(type(error).__name__) from error


def _end(batch: Batch, *, total: int) -> None:
    Batch.objects.filter(pk=batch.pk).update(loaded_at=Now(), total=total)
    if batch.source is not None:
        copies.forget(batch.owner_id, batch.source.public_id)


def _fail(batch: Batch) -> None:
    """What was loaded runs to its end; a batch of which nothing could be loaded has failed."""
    what = "Its items" if batch.source is None else "The file with its items"
    words = f"{what} cannot be read any more."
    _end(batch, total=batch.source_position)
    Batch.objects.filter(pk=batch.pk).update(error=words)
    if batch.source_position == 0:
        Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.FAILED, completed_at=Now(), settled_at=Now())
        notify_settled([batch.pk])
