"""The words of a search: their stems, and for those that occur nowhere the ones that were probably meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.postgres.search import TrigramSimilarity
from django.db import connection
from django.db.models.functions import Now

from records.models import Action, Activity, Word
from records.models.record import SEARCH_CONFIGURATION

MOST_WORDS = 10
"""A search looks for the first words of a query; more of them would make it slower and hardly better."""
LEAST_SIMILARITY = 0.25
"""By trigrams: "reciev" and "receiv" are alike by 0.27."""
MOST_MEANT = 3
LONGEST_WORD = 32
SINCE_LAST_SWEEP = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A stem to look for, and how surely it is what was meant: 1 for the word itself, less for one like it."""

    stem: str
    certainty: float


Meanings = tuple[Meaning, ...]
"""What one word of a query may mean, the surest first."""


def meanings_of(owner_id: int, query: str) -> list[Meanings]:
    """One entry for each word of the query that carries meaning; none for "the"."""
    stems = _stems(query)
    unknown = _unknown(owner_id, stems)
    return [_meant(owner_id, stem) if stem in unknown else (Meaning(stem, 1.0),) for stem in stems]


def _stems(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lexeme FROM unnest(to_tsvector(%s::regconfig, %s)) ORDER BY positions[1], lexeme LIMIT %s",
            [SEARCH_CONFIGURATION, query, MOST_WORDS],
        )
        return [row[0] for row in cursor.fetchall()]


def _unknown(owner_id: int, stems: Sequence[str]) -> set[str]:
    """Those of letters that are in no record. A number is never taken for misspelt."""
    words = {stem for stem in stems if len(stem) <= LONGEST_WORD and stem.isalpha() and len(stem) > 2}
    if not words:
        return set()
    return words - set(Word.objects.filter(owner_id=owner_id, text__in=words).values_list("text", flat=True))


def _meant(owner_id: int, stem: str) -> Meanings:
    with connection.cursor() as cursor:  # what the operator behind trigram_similar goes by, for this transaction
        cursor.execute("SELECT set_config('pg_trgm.similarity_threshold', %s, true)", [str(LEAST_SIMILARITY)])
    similar = (
        Word.objects.filter(owner_id=owner_id, text__trigram_similar=stem)
        .annotate(similarity=TrigramSimilarity("text", stem))
        .order_by("-similarity", "text")
        .values_list("text", "similarity")
        .distinct()[:MOST_MEANT]
    )
    return (Meaning(stem, 1.0), *(Meaning(text, similarity) for text, similarity in similar))


def sweep_unused() -> int:
    """Forget the words that are in no record any more, of owners who changed or deleted some; returns how many.

    All their records' words are counted for it, so this is a thing for the night. A record stored meanwhile may lose
    a word that nobody else had: it is found as before, only not when misspelt.
    """
    changed = Activity.objects.filter(action__in=(Action.UPDATE, Action.DELETE), at__gte=Now() - SINCE_LAST_SWEEP)
    owners = changed.order_by().values_list("owner_id", flat=True).distinct()
    return sum(_sweep_unused_of(owner_id) for owner_id in list(owners))


def _sweep_unused_of(owner_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM records_word AS word WHERE owner_id = %s AND NOT EXISTS ("
            "SELECT 1 FROM ts_stat(format('SELECT search FROM records_record WHERE owner_id = %%s', %s::int)) AS used"
            " WHERE used.word = word.text)",
            [owner_id, owner_id],
        )
        return int(cursor.rowcount)
