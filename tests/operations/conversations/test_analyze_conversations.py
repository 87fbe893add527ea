"""Conversations from everywhere, analysed one by one and together; the exports; all of it on the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.files import check_lines, file_content, store_file, store_uploads
from batches.operations.conversations.analyze_conversations import AnalyzeConversations
from batches.operations.conversations.conversation_analysis import ACROSS_SCHEMA, PART_SCHEMA, WHOLE_SCHEMA, read_answer
from batches.options import Paged
from batches.outcomes import Rejected, Retry, Snooze, Succeeded
from batches.problems import InvalidInput
from providers.base import ChatAnswer, ChatRequest
from records.models import Record
from tests.operations.conftest import Answering
from tests.operations.submitted import attempt_on, run_to_the_end, submitted

HELLO = {"messages": [{"role": "user", "content": "My invoice is wrong."}, {"role": "agent", "content": "Corrected."}]}


def conversations(number: int) -> list[dict[str, Any]]:
    return [{"id": f"c{n}", "title": f"Case {n}", **HELLO} for n in range(number)]


class Analyst(Answering):
    """Answers in the form that is asked for, and says how often it was asked."""

    def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        answer: dict[str, Any] = {
            "summary": f"Summary {len(self.requests)}.",
            "topics": ["billing", "billing"],
            "sentiment": "negative",
        }
        if request.schema is PART_SCHEMA:
            numbers = [int(line[1:].partition("]")[0]) for line in request.prompt.splitlines() if line.startswith("[")]
            answer["messages"] = [{"number": n, "sentiment": "neutral", "topic": "x"} for n in [*numbers, 99_999]]
        return ChatAnswer(text=json.dumps(answer), model=self.model)


# --- Where conversations come from ------------------------------------------------------------------


def test_conversations_in_the_request(owner: User) -> None:
    new = AnalyzeConversations().build(owner.pk, {"conversations": [*conversations(2), HELLO]})
    assert [item.key for item in new.items] == ["c0", "c1", "3"]
    assert new.items[0].input == {"title": "Case 0", **HELLO}
    assert (new.options.rate_limit, new.options.concurrency) == (10.0, 3)


def test_conversations_in_a_file_of_lines(owner: User) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    lines = b"".join(json.dumps(one).encode() + b"\n" for one in [*conversations(2), HELLO])
    [stored] = store_uploads(owner.pk, [check_lines("all.jsonl", SimpleUploadedFile("all.jsonl", lines))])
    new = AnalyzeConversations().build(owner.pk, {"conversationsFile": stored.public_id})
    assert new.source is not None and new.source.number == 3
    items = AnalyzeConversations().items_of_lines(owner.pk, 1, lines.splitlines())
    assert [item.key for item in items] == ["c0", "c1", "3"]


def test_conversations_exported_from_chatgpt(owner: User) -> None:
    message = {"author": {"role": "user"}, "content": {"parts": ["Hi"]}, "create_time": 1.5}
    exported = [{"title": "T", "conversation_id": "abc", "current_node": "a", "mapping": {"a": {"message": message}}}]
    stored = store_file(owner.pk, "conversations.json", "application/json", json.dumps(exported).encode())
    [item] = AnalyzeConversations().build(owner.pk, {"conversationsFile": stored.public_id}).items
    assert item.key == "abc"
    assert item.input["messages"] == [{"role": "user", "content": "Hi", "createdAt": "1970-01-01T00:00:01Z"}]


def record(owner: User, **fields: Any) -> Record:
    return Record.objects.create(**{"owner": owner, "kind": "conversation", "metadata": HELLO, **fields})


def test_conversations_among_the_records_page_by_page(owner: User) -> None:
    wanted = [record(owner, metadata={**HELLO, "team": "a"}) for _ in range(5)]
    record(owner, metadata={**HELLO, "team": "b"})
    record(owner, kind="memory", metadata={"team": "a"})
    record(User.objects.create_user("bob"), metadata={**HELLO, "team": "a"})
    operation = AnalyzeConversations()
    new = operation.build(owner.pk, {"filters": {"team": "a"}})
    record(owner, metadata={**HELLO, "team": "a"})
    assert isinstance(new.source, Paged) and new.source.number == 5
    cursor: Any = new.source.start
    keys = []
    while cursor is not None:
        page = operation.next_items(owner.pk, new.parameters, cursor, 2)
        keys += [item.key for item in page.items]
        cursor = page.next
    assert keys == [one.public_id for one in wanted]


@pytest.mark.parametrize(
    ("payload", "paths"),
    [
        ({}, {"filters"}),
        ({"filters": {}, "conversations": [HELLO]}, {"conversations"}),
        ({"filters": []}, {"filters"}),
        ({"conversations": []}, {"conversations"}),
        ({"conversations": [{}, {"id": 5, **HELLO}]}, {"conversations.0.messages", "conversations.1.id"}),
        ({"conversations": [{"id": "a", **HELLO}] * 2}, {"conversations.1.id"}),
        ({"conversationsFile": "file_0"}, {"conversationsFile"}),
        ({"conversations": [HELLO], "analyze": "no", "question": 5}, {"analyze", "question"}),
        ({"conversations": [HELLO], "analyse": True}, {"analyse"}),
    ],
)
def test_what_is_wrong_is_named(owner: User, payload: dict[str, Any], paths: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        AnalyzeConversations().build(owner.pk, payload)
    assert {problem.path for problem in refused.value.problems} == paths


@pytest.mark.parametrize("content", [b"no json", b"{}", b'[{"messages": 5}]', b"[" * 5000])
def test_a_file_that_holds_none_is_refused(owner: User, content: bytes) -> None:
    stored = store_file(owner.pk, "x.json", "application/json", content)
    with pytest.raises(InvalidInput) as refused:
        AnalyzeConversations().build(owner.pk, {"conversationsFile": stored.public_id})
    assert refused.value.problems[0].path.startswith("conversationsFile")


# --- One conversation -------------------------------------------------------------------------------


def test_a_conversation_is_analysed_message_by_message(owner: User) -> None:
    batch = submitted(owner.pk, "analyze_conversations", {"conversations": conversations(1), "question": "Who pays?"})
    provider = Analyst()
    outcome = run_to_the_end(batch.items.select_related("batch").get(), provider)
    assert outcome == Succeeded(
        {
            "title": "Case 0",
            "messageCount": 2,
            "characters": 30,
            "summary": "Summary 1.",
            "topics": ["billing"],
            "sentiment": "negative",
            "messages": [{"number": n, "sentiment": "neutral", "topic": "x"} for n in (1, 2)],
        }
    )
    [request] = provider.requests
    assert "Who pays?" in request.prompt
    assert "<document>\n[1] user: My invoice is wrong.\n[2] agent: Corrected.\n</document>" in request.prompt


def test_a_long_conversation_is_one_call_per_attempt(owner: User) -> None:
    long = {"messages": [{"role": "user", "content": f"{n} " + "word " * 100} for n in range(450)]}
    batch = submitted(owner.pk, "analyze_conversations", {"conversations": [long]})
    item = batch.items.select_related("batch").get()
    provider = Analyst()
    attempts = 0
    while isinstance(outcome := AnalyzeConversations().run(attempt_on(item, provider)), Snooze):
        attempts += 1
        assert len(provider.requests) == attempts
    assert isinstance(outcome, Succeeded)
    parts = attempts
    assert [request.schema is WHOLE_SCHEMA for request in provider.requests] == [False] * parts + [True]
    assert all(f"Summary {n}." in provider.requests[-1].prompt for n in range(1, parts + 1))
    assert len(outcome.result["messages"]) == 200
    kept = json.loads(file_content(owner.pk, outcome.result["messagesFile"]["fileId"]))
    assert [entry["number"] for entry in kept] == list(range(1, 451))


def test_records_are_read_when_their_turn_comes(owner: User) -> None:
    kept, gone = record(owner, title="Kept"), record(owner)
    empty = record(owner, metadata={}, content="")
    batch = submitted(owner.pk, "analyze_conversations", {"conversations": [HELLO]})
    item = batch.items.select_related("batch").get()
    gone.delete()
    for one, code in ((kept, None), (gone, "record_missing"), (empty, "no_messages")):
        item.input = {"recordId": one.public_id}
        outcome = run_to_the_end(item, Analyst())
        if code is None:
            assert isinstance(outcome, Succeeded) and outcome.result["title"] == "Kept"
        else:
            assert isinstance(outcome, Rejected) and outcome.fault.code == code


@pytest.mark.parametrize("answer", ["no JSON", "{}", "[]", '{"summary": 5}', "[" * 100_000])
def test_an_answer_of_another_form_is_asked_for_again(owner: User, answer: str) -> None:
    batch = submitted(owner.pk, "analyze_conversations", {"conversations": [HELLO]})
    outcome = run_to_the_end(batch.items.select_related("batch").get(), Answering(answer))
    assert isinstance(outcome, Retry)
    assert outcome.fault.code == "invalid_answer"


def test_the_schemas_are_strict() -> None:
    for schema in (PART_SCHEMA, WHOLE_SCHEMA, ACROSS_SCHEMA):
        assert set(schema["required"]) == set(schema["properties"])
        assert read_answer("{}", schema) is None
