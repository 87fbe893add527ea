"""Conversations in every form people have them, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.operations.conversations.conversation_analysis import LONGEST_PART, parts_of
from batches.operations.conversations.conversation_themes import evenly
from batches.operations.conversations.conversations import (
    Message,
    messages_of_record,
    read_conversation,
    stored_messages,
)
from batches.operations.payload import Problems

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "role", "content", "mapping", "parent", "message", "author", "parts", "text", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def read(value: Any) -> list[Message]:
    problems = Problems()
    conversation = read_conversation(value, "c", problems)
    problems.raise_if_any()
    assert conversation is not None
    return stored_messages(conversation)


def problems_of(value: Any) -> dict[str, str]:
    problems = Problems()
    assert read_conversation(value, "c", problems) is None
    return {one.path: one.code for one in problems._found}


def test_messages_as_the_chat_apis_have_them() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:"}}, "here"]
    assert read(
        {
            "messages": [
                {"role": "system", "content": "Be kind"},
                {"role": "user", "content": parts, "createdAt": "2026-01-01T00:00:00Z"},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "assistant", "content": "Nice!", "timestamp": 1767225600},
            ]
        }
    ) == [
        Message("system", "Be kind"),
        Message("user", "Look\n[image_url]\nhere", "2026-01-01T00:00:00Z"),
        Message("assistant", "Nice!", "2026-01-01T00:00:00Z"),
    ]


def node(parent: str | None, role: str, *parts: Any, at: float | None = None) -> dict[str, Any]:
    message = {"author": {"role": role}, "content": {"content_type": "text", "parts": list(parts)}, "create_time": at}
    return {"parent": parent, "message": message}


def test_an_export_of_chatgpt_is_read_along_its_last_branch() -> None:
    mapping = {
        "root": {"parent": None, "message": None},
        "a": node("root", "user", "Hello", at=1.0),
        "b": node("a", "assistant", "A first answer"),
        "c": node("a", "assistant", "A better answer", at=3.0),
        "d": node("c", "tool", ""),
    }
    exported = {"title": "Greetings", "mapping": mapping, "current_node": "d"}
    assert read(exported) == [
        Message("user", "Hello", "1970-01-01T00:00:01Z"),
        Message("assistant", "A better answer", "1970-01-01T00:00:03Z"),
    ]
    assert [message.text for message in read({"mapping": mapping})] == ["A first answer", "Hello", "A better answer"]


def test_a_mapping_in_a_circle_ends() -> None:
    mapping = {"a": node("b", "user", "Hello"), "b": node("a", "user", "Again")}
    assert len(read({"mapping": mapping, "current_node": "a"})) == 2


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (5, {"c": "invalid_type"}),
        ({}, {"c.messages": "required"}),
        ({"messages": {}}, {"c.messages": "invalid_type"}),
        ({"messages": []}, {"c.messages": "empty"}),
        ({"messages": [{"role": "user", "content": " "}]}, {"c.messages": "empty"}),
        (
            {"messages": [5, {"role": 5, "content": "x"}]},
            {"c.messages.0": "invalid_type", "c.messages.1.role": "invalid_type"},
        ),
        ({"messages": [{"role": "user", "content": 5}]}, {"c.messages.0.content": "invalid_type"}),
        ({"messages": [{"role": "user", "content": "\x00"}]}, {"c.messages.0.content": "invalid_type"}),
        ({"messages": [{"role": "user", "content": "x"}] * 5001}, {"c.messages": "too_many"}),
        ({"messages": [{"role": "user", "content": "x" * 600_001}] * 2}, {"c.messages": "too_long"}),
        ({"title": 5, "messages": []}, {"c.title": "invalid_type"}),
        ({"mapping": {}}, {"c.mapping": "empty"}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_what_is_wrong_is_named(value: Any, problems: dict[str, str]) -> None:
    assert problems_of(value) == problems


@given(junk)
def test_whatever_it_is_it_is_a_conversation_or_a_problem(value: Any) -> None:
    problems = Problems()
    conversation = read_conversation(value, "c", problems)
    assert (conversation is None) == bool(problems._found)


def test_a_record_keeps_its_messages_in_its_metadata_or_as_a_transcript() -> None:
    kept = [{"role": "user", "content": "Hi"}]
    assert messages_of_record("ignored", {"messages": kept}) == [Message("user", "Hi")]
    transcript = "Intro\nUser: Where is it?\nReally?\n**Agent**: On its way.\nHuman: Thanks"
    assert messages_of_record(transcript, {"messages": "none"}) == [
        Message("unknown", "Intro"),
        Message("user", "Where is it?\nReally?"),
        Message("agent", "On its way."),
        Message("human", "Thanks"),
    ]
    assert messages_of_record("", {}) == []


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=40))
def test_parts_hold_every_message_once_and_none_is_too_long(lengths: list[int]) -> None:
    parts = parts_of([Message("user", "x" * length) for length in lengths])
    assert all(len(part) <= LONGEST_PART + 50 for part in parts)
    starts = [
        line.partition("]")[0]
        for part in parts
        for line in part.splitlines()
        if line.startswith("[") and line[1] != "."
    ]
    assert starts == [f"[{number}" for number in range(1, len(lengths) + 1)]


@given(st.lists(st.text("ab", max_size=20), min_size=1, max_size=200), st.integers(1, 500))
def test_summaries_are_taken_evenly_and_fit(texts: list[str], most: int) -> None:
    chosen = evenly(texts, most)
    assert chosen
    assert sum(map(len, chosen)) <= most
    if sum(map(len, texts)) <= most:
        assert chosen == texts
