"""Search: full text with rank, and words like the misspelt ones.

How it finds: a query's words are stemmed; a word that occurs in none of the owner's records is taken for misspelt and
stands for the most similar words that do (trigrams). Records with all words, and then records with some of them, are
ranked. Of very many matches the newest are ranked, so that a search for a word that is everywhere stays fast.

How it scores: ``0.6 + 0.3 * coverage + 0.1 * rank``. Coverage is the share of the words that were found, a similar word
counting for as much as it is similar; rank is how close together they stand, and whether in the title (``ts_rank_cd``).
So all words found is 0.9 or more, one of two 0.75 or more, and the usual threshold of 0.7 asks for a third of them.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Value, When, Window

from records import activity
from records.filters import condition
from records.models import Record
from records.passages import Passage, passages_of
from records.querysets import RecordQuerySet
from records.time_limit import TimeLimit
from records.words import Meanings, meanings_of

DEFAULT_RESULTS = 10
MOST_CANDIDATES = 300
"""Of the matches with all words so many, the newest, are ranked."""
MOST_PARTIAL_CANDIDATES = 50
"""And for each word so many with that word."""
BASE, COVERAGE, RANK = 0.6, 0.3, 0.1


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for, where, and how much of it. ``filters`` as in :mod:`records.filters`.

    ``every_kind``: among all records, whatever their status, and not among active memories alone.
    """

    query: str
    limit: int = DEFAULT_RESULTS
    filters: dict[str, Any] = field(default_factory=dict)
    threshold: float = 0.0
    with_passages: bool = False
    created_from: datetime | None = None
    created_before: datetime | None = None
    every_kind: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A record and how well it matches, from 0 to 1."""

    record: Record
    score: float
    rank: float
    passages: list[Passage]


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits. ``total`` counts all that were ranked and reached the threshold."""

    hits: list[Hit]
    total: int
    duration_ms: float


class StemQuery(SearchQuery):
    """A query of stems that need no further parsing."""

    def __init__(self, text: str) -> None:
        super().__init__(Value(text))
        self.text = text

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[str]]:  # type: ignore[override]
        """A literal of Postgres's own notation."""
        return "%s::tsquery", [self.text]


def search(owner_id: int, request: SearchRequest, *, limit: TimeLimit) -> Found:
    """The owner's memories that match best. Raises :class:`InvalidInput` for filters that make no sense."""
    started = time.monotonic()
    with limit.transaction(durable=False):  # all that it writes is that there was a search
        words = meanings_of(owner_id, request.query)
        rows = list(matches(owner_id, request, words)) if words else []
        notations = [_notation(word) for word in words] if request.with_passages else []
        passages = passages_of([row.pk for row in rows], notations)
        hits = [Hit(row, round(row.score, 4), round(row.rank, 4), passages.get(row.pk, [])) for row in rows]
        total = rows[0].matches if rows else 0
        found = Found(hits, total, (time.monotonic() - started) * 1000)
        activity.note_search(owner_id, request.query, found.total, found.duration_ms)
    return found


def _wanted(owner_id: int, request: SearchRequest) -> RecordQuerySet:
    """Those that the filters leave; only active ones unless a status is asked for."""
    own = Record.objects.owned_by(owner_id)
    if request.every_kind:
        wanted = own.filter(condition(request.filters))
    else:
        wanted = own.memories().filter(condition({"status": "active", **request.filters}))
    if request.created_from:
        wanted = wanted.filter(created_at__gte=request.created_from)
    if request.created_before:
        wanted = wanted.filter(created_at__lt=request.created_before)
    return wanted


def matches(owner_id: int, request: SearchRequest, words: list[Meanings]) -> QuerySet[Any]:
    """The one statement that finds and ranks; its rows have a ``score``, a ``rank``, and in ``matches`` the total."""
    wanted = _wanted(owner_id, request)
    degrees: list[Any] = [_degree(word) for word in words]
    coverage = reduce(operator.add, degrees) / Value(float(len(words)))
    rank = SearchRank(F("search"), _any_of(words), normalization=Value(32), cover_density=True)
    score = Value(BASE) + Value(COVERAGE) * coverage + Value(RANK) * rank
    ranked = Record.objects.filter(pk__in=_candidates(wanted, words)).annotate(rank=rank, score=score)
    if request.threshold > 0:
        ranked = ranked.filter(score__gte=request.threshold)
    ranked = ranked.annotate(matches=Window(Count("*")))
    return ranked.select_related("topic").order_by("-score", "-pk")[: request.limit]


def _candidates(wanted: RecordQuerySet, words: list[Meanings]) -> QuerySet[Any]:
    """The keys of what is worth ranking."""
    every = StemQuery(" & ".join(_notation(word) for word in words))
    newest = wanted.filter(search=every).order_by("-pk").values("pk")[:MOST_CANDIDATES]
    if len(words) == 1:
        return newest
    partial = [
        wanted.filter(search=StemQuery(_notation(word))).order_by("-pk").values("pk")[:MOST_PARTIAL_CANDIDATES]
        for word in words
    ]
    return newest.union(*partial)


def _degree(word: Meanings) -> Case:
    """How much of the word a record has."""
    cases = [When(Q(search=StemQuery(_quoted(one.stem))), then=Value(one.certainty)) for one in word]
    return Case(*cases, default=Value(0.0), output_field=FloatField())


def _any_of(words: Sequence[Meanings]) -> StemQuery:
    return StemQuery(" | ".join(_notation(word) for word in words))


def _notation(word: Meanings) -> str:
    """In Postgres's notation: any of the word's meanings."""
    return "(" + " | ".join(_quoted(one.stem) for one in word) + ")"


def _quoted(stem: str) -> str:
    """As a literal within a tsquery; a stem may hold whatever a URL may."""
    escaped = stem.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
