"""The words of a search: their stems, and for those that occur nowhere the ones that were probably meant."""

from __future__ import annotations

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
SHORTEST_WORD, LONGEST_WORD = 3, 32
"""What the triggers on the records note; a number is never taken for misspelt."""
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
    return [
        (Meaning(stem, 1.0),) if known or not _may_be_misspelt(stem) else _meant(owner_id, stem)
        for stem, known in _stems(owner_id, query)
    ]


def _stems(owner_id: int, query: str) -> list[tuple[str, bool]]:
    """The stems in their order, and whether any record has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stem.lexeme, EXISTS ("
            "SELECT 1 FROM records_word AS word WHERE word.owner_id = %s AND word.text = stem.lexeme) "
            "FROM unnest(to_tsvector(%s::regconfig, %s)) AS stem ORDER BY stem.positions[1], stem.lexeme LIMIT %s",
            [owner_id, SEARCH_CONFIGURATION, query, MOST_WORDS],
        )
        return list(cursor.fetchall())


def _may_be_misspelt(stem: str) -> bool:
    """Whether records note such a word at all: it is of letters, and neither very short nor very long."""
    return SHORTEST_WORD <= len(stem) <= LONGEST_WORD and stem.isalpha()


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
