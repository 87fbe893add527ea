"""Describes a text by what can be counted in it: its telling words, its central sentences, how complete it is.

Everything here is arithmetic on the words of the text: the same text gets the same answer, another text another one.
What stands between ``<document>`` and ``</document>`` in a question is the text; without such a frame all of it is.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.sandbox.words import COMMON_WORDS, SUBJECTS

MOST_WORDS = 20_000
MOST_SENTENCES = 400
MOST_TAGS = 6
LONGEST_DESCRIPTION = 400
_DOCUMENT = re.compile(r"<document>\n?(.*?)\n?</document>", re.DOTALL)
_TITLE = re.compile(r"\A\s*Title:[ \t]*(.+)")
_WORD = re.compile(r"[^\W\d_][\w'-]*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was counted."""

    words: int
    distinct: int
    sentences: int
    keywords: tuple[str, ...]
    """The telling words, the most telling first."""
    central: tuple[str, ...]
    """The sentences that hold most of them, in the order of the text."""
    title: str
    letters: float
    """Share of letters among the characters that are not blank."""

    @property
    def quality(self) -> float:
        """In [0, 1]: enough words, not the same ones all over, sentences one can read, letters rather than noise."""
        if not self.words:
            return 0.0
        length = min(1.0, math.log1p(self.words) / math.log1p(120))
        # The longer a text, the more words it must repeat: Guiraud's measure allows for it.
        vocabulary = min(1.0, self.distinct / math.sqrt(self.words) / 5)
        per_sentence = self.words / max(1, self.sentences)
        readable = min(1.0, per_sentence / 6) if per_sentence < 6 else min(1.0, 30 / per_sentence)
        clean = min(1.0, self.letters / 0.7)
        titled = 1.0 if self.title else 0.6
        return round(0.35 * length + 0.25 * vocabulary + 0.2 * readable + 0.1 * clean + 0.1 * titled, 2)


def document_in(question: str) -> str:
    """The text that a question is about."""
    frames = _DOCUMENT.findall(question)
    return frames[-1] if frames else question


@functools.lru_cache(maxsize=2_000)
def measure(text: str) -> Measurement:
    """Count."""
    titled = _TITLE.match(text)
    body = text[titled.end() :] if titled else text
    title = titled.group(1).strip() if titled else ""
    counted = Counter(_telling_words(body))
    counted.update(dict.fromkeys(_telling_words(title), 2))  # a title is chosen with care
    words = [word.lower() for word in _WORD.findall(body)[:MOST_WORDS]]
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(body) if _WORD.search(sentence)][:MOST_SENTENCES]
    visible = sum(1 for character in text if not character.isspace())
    return Measurement(
        words=len(words),
        distinct=len(set(words)),
        sentences=len(sentences),
        # Of equally frequent ones the longer, and then the earlier in the alphabet.
        keywords=tuple(sorted(counted, key=lambda word: (-counted[word], -len(word), word))[:20]),
        central=_central(sentences, counted),
        title=title,
        letters=sum(1 for character in text if character.isalpha()) / max(1, visible),
    )


def _telling_words(text: str) -> Iterable[str]:
    for word in _WORD.findall(text)[:MOST_WORDS]:
        lower = word.lower().removesuffix("'s")
        if len(lower) > 2 and lower not in COMMON_WORDS:
            yield lower


def _central(sentences: list[str], counted: Counter[str]) -> tuple[str, ...]:
    """The two sentences with the most telling words for their length; the first one of a text has an advantage."""

    def weight(place: int) -> float:
        told = set(_telling_words(sentences[place]))
        if not told:
            return 0.0
        return sum(counted[word] for word in told) / math.sqrt(len(told)) * (1.3 if place == 0 else 1.0)

    best = sorted(range(len(sentences)), key=lambda place: (-weight(place), place))[:2]
    return tuple(sentences[place] for place in sorted(best))


def describe(text: str) -> dict[str, Any]:
    """Everything that can be said of the text, by the names under which schemas usually ask for it."""
    found = measure(text)
    tags = list(found.keywords[:MOST_TAGS])
    central = " ".join(found.central)
    cut = central if len(central) <= LONGEST_DESCRIPTION else f"{central[: LONGEST_DESCRIPTION - 3].rstrip()}..."
    summary = f"Measured by the sandbox, {found.words} word{'' if found.words == 1 else 's'}: {cut or 'no sentence'}"
    return {
        "title": found.title or (found.central[0][:80] if found.central else "Untitled"),
        "description": summary,
        "summary": summary,
        "tags": tags,
        "topics": tags,
        "keywords": list(found.keywords),
        "category": _subject(found.keywords),
        "qualityScore": found.quality,
        "wordCount": found.words,
    }


def _subject(keywords: Iterable[str]) -> str:
    """The subject whose words are most among the telling ones, in singular or plural."""
    said = {form for word in keywords for form in (word, word.removesuffix("s"), word.removesuffix("es"))}
    counts = {subject: len(said & words) for subject, words in SUBJECTS.items()}
    best = max(counts, key=lambda subject: counts[subject])  # the first of equals
    return best if counts[best] else "general"


def known_values(text: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the text says about the properties of a schema, as far as name and type fit; an ``enum`` by its words."""
    described = describe(text)
    known: dict[str, Any] = {}
    for name, schema in properties.items():
        if not isinstance(schema, Mapping):
            continue
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            known[name] = _choice(text, choices, described.get(name))
        elif name in described and _fits(described[name], schema):
            known[name] = described[name]
    return known


def _choice(text: str, choices: list[Any], measured: object) -> Any:
    if measured in choices:
        return measured
    lower = text.lower()
    return max(choices, key=lambda choice: lower.count(str(choice).lower()) if choice not in (None, "") else 0)


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if isinstance(value, str):
        return "string" in kinds
    if isinstance(value, list):
        items = schema.get("items", {})
        return "array" in kinds and isinstance(items, Mapping) and items.get("type", "string") == "string"
    whole = isinstance(value, int)
    return "number" in kinds or (whole and "integer" in kinds)
