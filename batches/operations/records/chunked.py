"""What all operations share that work on chunks of the records that match filters."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings

from batches.operations.base import Operation
from batches.operations.batch_options import read_description, read_name, read_options
from batches.operations.payload import Fields, Problems
from batches.operations.records.matching_records import matching, read_filters
from batches.operations.records.record_chunks import CHUNKS_AT_ONCE, chunks_among, next_chunks_among
from batches.options import ItemPage, NewBatch, Paged
from batches.states import Channel
from records.querysets import RecordQuerySet

NOTHING_MATCHES = "No record matches: the batch has nothing to do."


class ChunkedOperation(Operation):
    """Every item is a chunk of records. An operation says what it reads beside ``filters``, and what a chunk is for."""

    channel: ClassVar[Channel] = Channel.DATA
    uses_database: ClassVar[bool] = True
    finishes: ClassVar[bool] = True
    title: ClassVar[str]
    """Of batches to which the client gives no name."""
    chunks_at_once: ClassVar[int] = CHUNKS_AT_ONCE

    @abc.abstractmethod
    def read(self, fields: Fields, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The operation's own parameters; what is wrong with them goes to the problems of ``fields``."""

    def chosen(self, owner_id: int, parameters: Mapping[str, Any]) -> RecordQuerySet:
        """The records: those that match, unless the operation knows better."""
        return matching(owner_id, parameters["filters"])

    def check_source(self, parameters: Mapping[str, Any], source: Paged, problems: Problems) -> None:
        """Whether so many chunks can be done."""

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Filters, the operation's own parameters, name and options."""
        problems = Problems()
        fields = Fields(payload, problems)
        filters = read_filters(fields)
        parameters = {"filters": filters, **self.read(fields, filters)}
        name, description = read_name(fields), read_description(fields)
        options = read_options(fields, concurrency=self.chunks_at_once, retries=settings.BATCH_MAX_RETRIES)
        fields.refuse_unknown()
        problems.raise_if_any()
        source = chunks_among(self.chosen(owner_id, parameters))
        self.check_source(parameters, source, problems)
        problems.raise_if_any()
        return NewBatch(
            operation=self.name,
            provider="",
            items=(),
            parameters=parameters,
            options=options,
            name=name or self.title,
            description=description,
            warnings=fields.warnings if source.number else [*fields.warnings, NOTHING_MATCHES],
            source=source,
        )

    def next_items(
        self, owner_id: int, parameters: Mapping[str, Any], cursor: Mapping[str, Any], most: int
    ) -> ItemPage:
        """Chunks of the records."""
        return next_chunks_among(self.chosen(owner_id, parameters), cursor, most)
