"""The paragraphs of a found memory that hold what was searched for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from records.models.record import LONGEST_CONTENT, SEARCH_CONFIGURATION

MOST_PASSAGES = 3

_PASSAGES = """
SELECT record.id, part.position, part.text, found.share
FROM records_record AS record
CROSS JOIN LATERAL regexp_split_to_table(left(record.content, %(longest)s), '\\n\\s*\\n')
    WITH ORDINALITY AS part (text, position)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE to_tsvector(%(configuration)s::regconfig, part.text) @@ word::tsquery)
        / count(*)::float AS share
    FROM unnest(%(words)s::text[]) AS word
) AS found
WHERE record.id = ANY (%(ids)s) AND found.share > 0
ORDER BY record.id, found.share DESC, part.position
"""


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph: which one, counted from 0, and the share of the words that it holds."""

    index: int
    content: str
    similarity: float


def passages_of(ids: Sequence[int], words: Sequence[str]) -> dict[int, list[Passage]]:
    """The best paragraphs of each record, by the record's key. ``words`` in Postgres's notation of queries."""
    found: dict[int, list[Passage]] = defaultdict(list)
    if not ids or not words:
        return found
    parameters: dict[str, Any] = {
        "ids": list(ids),
        "words": list(words),
        "longest": LONGEST_CONTENT,
        "configuration": SEARCH_CONFIGURATION,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PASSAGES, parameters)
        for record_id, position, text, share in cursor.fetchall():
            if len(found[record_id]) < MOST_PASSAGES:
                found[record_id].append(Passage(position - 1, text.strip(), round(share, 4)))
    return found
