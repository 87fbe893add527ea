"""What the sandbox says about conversations."""

from __future__ import annotations

import pytest

from batches.operations.conversations.conversation_analysis import (
    ACROSS_SCHEMA,
    PART_SCHEMA,
    WHOLE_SCHEMA,
    part_question,
    parts_of,
    read_answer,
)
from batches.operations.conversations.conversations import Message
from batches.operations.long_texts import framed
from providers.sandbox.chat import _content, _question
from providers.sandbox.conversations import mood


def answer(prompt: str, schema: dict[str, object]) -> dict[str, object] | None:
    """As the dialects answer a question under a schema, read as the operation reads it."""
    response_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "response_format": response_format}
    return read_answer(_content(_question(body), None), schema)


def test_every_message_is_judged_by_its_words() -> None:
    messages = [Message("user", "My order is late, and it is broken."), Message("agent", "Great, thanks for waiting!")]
    found = answer(part_question("Order 17", parts_of(messages), 0, ""), PART_SCHEMA)
    assert found is not None
    assert found["messages"] == [
        {"number": 1, "sentiment": "negative", "topic": "broken"},
        {"number": 2, "sentiment": "positive", "topic": "waiting"},
    ]
    assert found["sentiment"] == "mixed"
    assert "[1]" not in str(found["summary"]) and "late" in str(found["summary"])


def test_themes_are_the_words_that_many_summaries_share() -> None:
    summaries = framed("1. The invoice was wrong.\n2. An invoice came twice.\n3. The parcel is lost.")
    found = answer(f"These are summaries.\n{summaries}", ACROSS_SCHEMA)
    assert found is not None
    assert isinstance(themes := found["themes"], list)
    assert themes[0] == {"theme": "invoice", "description": "2 of 3 summaries speak of it.", "conversations": 2}
    assert found["recommendations"] == ["Look into invoice first."]


def test_a_schema_without_messages_is_answered_as_well() -> None:
    found = answer(framed("Everything is fine, thanks."), WHOLE_SCHEMA)
    assert found is not None and found["sentiment"] == "positive"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "neutral"), ("thanks, great", "positive"), ("wrong again", "negative"), ("great but wrong", "mixed")],
)
def test_moods(text: str, expected: str) -> None:
    assert mood(text) == expected
