"""What the sandbox says about conversations: numbered messages, and numbered summaries of many of them.

Counted like everything it says about texts: moods by telling words, topics by the words that are frequent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from providers.sandbox import texts

_MESSAGE = re.compile(r"^\[(\d+)\] ([^:\n]{1,60}): (.*)$", re.MULTILINE)
_SUMMARY = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_WORD = re.compile(r"[a-z]+")
MOST_THEMES = 5
GLAD = frozenset({
    "amazing", "appreciate", "awesome", "best", "excellent", "fantastic", "glad", "good", "great", "happy",
    "helpful", "love", "lovely", "nice", "perfect", "pleased", "solved", "thank", "thanks", "wonderful", "works",
})  # fmt: skip
ANGRY = frozenset({
    "angry", "annoyed", "awful", "bad", "broken", "cancel", "complain", "complaint", "damaged", "disappointed",
    "error", "fail", "failed", "frustrated", "hate", "late", "missing", "never", "overdue", "poor", "problem",
    "refund", "sorry", "terrible", "unacceptable", "unhappy", "worst", "wrong",
})  # fmt: skip


def known_values(document: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What can be said of the properties of a schema where the document is a conversation or a list of summaries."""
    messages = [(int(number), text) for number, _, text in _MESSAGE.findall(document)]
    summaries = _SUMMARY.findall(document)
    known: dict[str, Any] = {}
    if messages:
        said = texts.describe("\n".join(text for _, text in messages))
        known = {name: said[name] for name in ("summary", "topics") if name in properties}
    if _moods(properties.get("sentiment")):
        known["sentiment"] = mood(document)
    if messages and _names(properties.get("messages")) >= {"number", "sentiment", "topic"}:
        known["messages"] = [
            {"number": number, "sentiment": mood(text), "topic": _topic(text)} for number, text in messages
        ]
    if summaries and _names(properties.get("themes")) >= {"theme", "description", "conversations"}:
        known["themes"] = _themes(summaries)
        if "recommendations" in properties:
            known["recommendations"] = [f"Look into {theme['theme']} first." for theme in known["themes"][:1]]
    return known


def mood(text: str) -> str:
    """Which telling words there are: of one kind, of both, of none."""
    words = Counter(_WORD.findall(text.lower()))
    glad, angry = (sum(words[word] for word in kind) for kind in (GLAD, ANGRY))
    if glad and angry and max(glad, angry) < 2 * min(glad, angry):
        return "mixed"
    if glad == angry:
        return "neutral"
    return "positive" if glad > angry else "negative"


def _topic(text: str) -> str:
    keywords = texts.measure(text).keywords
    return keywords[0] if keywords else "nothing"


def _themes(summaries: list[str]) -> list[dict[str, Any]]:
    words = [set(_WORD.findall(summary.lower())) for summary in summaries]
    keywords = texts.measure("\n".join(summary.partition(": ")[2] or summary for summary in summaries)).keywords
    counts = {keyword: sum(keyword in each for each in words) for keyword in keywords}
    frequent = sorted(counts, key=lambda keyword: -counts[keyword])[:MOST_THEMES]
    return [
        {
            "theme": keyword,
            "description": f"{counts[keyword]} of {len(summaries)} summaries speak of it.",
            "conversations": counts[keyword],
        }
        for keyword in frequent
    ]


def _names(schema: object) -> frozenset[str]:
    """The properties of the objects in a list."""
    items = schema.get("items") if isinstance(schema, Mapping) else None
    properties = items.get("properties") if isinstance(items, Mapping) else None
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()


def _moods(schema: object) -> bool:
    choices = schema.get("enum") if isinstance(schema, Mapping) else None
    return isinstance(choices, list) and {"positive", "neutral", "negative", "mixed"} <= {str(one) for one in choices}
