"""Conversations exported and analysed, one by one and across all of them (document 000)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from django.conf import settings
from django.db.models import Count, Max

from batches.files import LINES_TYPE, FileMissing, file_content, find_file
from batches.loading import check_source
from batches.models import Batch
from batches.money.estimating.workload import Span, Workload, of_question
from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_list, read_name, read_provider
from batches.operations.checkpoints import Checkpoints, forget_checkpoints, give_back_connection
from batches.operations.conversations.conversation_analysis import (
    PART_SCHEMA,
    SYSTEM_PROMPT,
    WHOLE_SCHEMA,
    merged,
    part_question,
    parts_of,
    read_answer,
    whole_question,
)
from batches.operations.conversations.conversation_export import keep_exports
from batches.operations.conversations.conversation_themes import themes_across
from batches.operations.conversations.conversations import (
    LONGEST_ID,
    Message,
    messages_of_record,
    read_conversation,
    stored_messages,
)
from batches.operations.item_files import keep_file
from batches.operations.modes import read_mode
from batches.operations.paced_options import read_paced_options
from batches.operations.payload import Fields, Problems, text_fault
from batches.operations.source_lines import read_lines
from batches.options import ItemPage, NewBatch, NewItem, Paged, Source
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded
from batches.states import Channel
from providers.base import ChatRequest, ErrorCategory
from records.filters import filter_problems
from records.models import Kind, Record
from records.querysets import RecordQuerySet

NAME = "analyze_conversations"
TIMEOUT_MS = 120_000
LONGEST_WISH = 5_000
MOST_INLINE_MESSAGES = 200
"""Messages whose analysis stands in the item's result; more of them are a file of the batch."""
TOKENS_PER_MESSAGE = (15, 40)
"""Of what is said about a message."""
LONGEST_SUMMARY = 1_000
"""Characters of a summary of a part, as a rule."""
SOURCES = ("filters", "conversations", "conversationsFile")
_MISSING = Rejected(Fault(ErrorCategory.NOT_FOUND, "record_missing", "The record is not there any more."))
_EMPTY = Rejected(Fault(ErrorCategory.CONTENT, "no_messages", "The record holds no messages."))
_INVALID_ANSWER = Retry(
    Fault(ErrorCategory.CONTENT, "invalid_answer", "The model's answer does not have the form that was asked for.")
)


class AnalyzeConversations(Operation):
    """One conversation, one analysis; in the end an export of all, and what goes through them."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.AI
    summary: ClassVar[str] = "Exports conversations and analyses them, message by message and across all of them."
    accepts: ClassVar[Mapping[str, str]] = {
        "filters": "Which of your records of the kind conversation; {} for all of them.",
        "conversations": "Or the conversations themselves: id, title, messages (role, content).",
        "conversationsFile": "Or an uploaded file: JSON lines with one in each, or an export of ChatGPT.",
        "analyze": "false: only export, without a model.",
        "across": "false: no analysis across the conversations.",
        "question": "What you want to know beside summary, topics and sentiment.",
        "provider": "Alias or model of the provider.",
    }
    uses_database: ClassVar[bool] = True
    asks_models: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Which conversations, and what to do with them."""
        problems = Problems()
        fields = Fields(payload, problems)
        analyze = fields.boolean("analyze", default=True)
        parameters: dict[str, Any] = {
            "analyze": analyze,
            "across": fields.boolean("across", default=True) and analyze,
            "question": fields.text("question", maximum=LONGEST_WISH),
        }
        name, description = read_name(fields), read_description(fields)
        options = read_paced_options(fields, timeout_ms=TIMEOUT_MS)
        provider = read_provider(fields, "provider", "model", kind="chat", default=settings.DEFAULT_CHAT_PROVIDER)
        asked = provider if analyze else ""
        mode = read_mode(fields, AnalyzeConversations, asked)
        fields.knows(*SOURCES)
        fields.refuse_unknown()
        items, source = self._read_source(owner_id, payload, parameters, problems)
        problems.raise_if_any()
        return NewBatch(
            operation=NAME,
            provider=asked,
            items=items,
            source=source,
            parameters=parameters,
            options=options,
            name=name,
            description=description,
            mode=mode,
            warnings=fields.warnings,
        )

    def _read_source(
        self, owner_id: int, payload: Mapping[str, Any], parameters: dict[str, Any], problems: Problems
    ) -> tuple[Sequence[NewItem], Source | Paged | None]:
        given = [name for name in SOURCES if payload.get(name) is not None]
        if len(given) != 1:
            problems.add(
                given[1] if given else "filters", f"Exactly one of {', '.join(SOURCES)} is needed.", "required"
            )
        elif given[0] == "filters":
            return (), _read_records(owner_id, payload["filters"], parameters, problems)
        elif given[0] == "conversations":
            listed = read_list(payload["conversations"], "conversations", problems)
            return _items(enumerate(listed), "conversations", problems), None
        else:
            return self._read_file(owner_id, payload["conversationsFile"], problems)
        return (), None

    def _read_file(
        self, owner_id: int, file_id: Any, problems: Problems
    ) -> tuple[Sequence[NewItem], Source | Paged | None]:
        """JSON lines are read by the loader; a list, as ChatGPT exports it, is small enough to be read at once."""
        try:
            stored = find_file(owner_id, file_id if isinstance(file_id, str) else "")
            if stored.media_type == LINES_TYPE:
                problems.raise_if_any()  # before the whole file is read
                return (), check_source(self, owner_id, stored)
            listed = orjson.loads(file_content(owner_id, stored.public_id))
        except FileMissing:
            problems.add("conversationsFile", "Must be the id of an uploaded file.", "unknown_file")
        except (ValueError, RecursionError):
            problems.add("conversationsFile", "Must be a file of JSON lines, or a JSON list.", "invalid_json")
        else:
            listed = read_list(listed, "conversationsFile", problems)
            return _items(enumerate(listed), "conversationsFile", problems), None
        return (), None

    def items_of_lines(self, owner_id: int, first: int, lines: Sequence[bytes]) -> Sequence[NewItem]:
        """A conversation per line, as an element of ``conversations``."""
        problems = Problems()
        items = _items(read_lines(lines, first, problems), "line", problems)
        problems.raise_if_any()
        return items

    def next_items(
        self, owner_id: int, parameters: Mapping[str, Any], cursor: Mapping[str, Any], most: int
    ) -> ItemPage:
        """The next records, up to the one that was the newest when the batch was made."""
        records = _records(owner_id, parameters["filters"]).filter(pk__gt=cursor["after"], pk__lte=cursor["through"])
        rows = list(records.order_by("pk").values_list("pk", "public_id")[:most])
        items = [NewItem(public_id, {"recordId": public_id}) for _, public_id in rows]
        return ItemPage(items, {**cursor, "after": rows[-1][0]} if len(rows) == most else None)

    def workload(self, attempt: Attempt) -> Workload | None:
        """A question about each part of the conversation, and one about all of them where there are several."""
        found = _conversation(attempt)
        if found is None or not found[1] or not attempt.parameters["analyze"]:
            return Workload()
        (title, messages), wish = found, attempt.parameters["question"]
        parts = parts_of(messages)
        work = Workload(output_tokens=Span(*(len(messages) * tokens for tokens in TOKENS_PER_MESSAGE)))
        for number in range(len(parts)):
            work += of_question(_request(attempt, part_question(title, parts, number, wish), PART_SCHEMA))
        if len(parts) > 1:
            summaries = [{"summary": " " * LONGEST_SUMMARY}] * len(parts)
            work += of_question(_request(attempt, whole_question(summaries, wish), WHOLE_SCHEMA))
        return work

    def run(self, attempt: Attempt) -> Outcome:
        """Make the next call that the conversation needs; one that needs more of them comes back."""
        found = _conversation(attempt)
        if found is None:
            return _MISSING
        title, messages = found
        if not messages:
            return _EMPTY
        about = {"title": title, "messageCount": len(messages), "characters": sum(len(one.text) for one in messages)}
        if not attempt.parameters["analyze"]:
            return Succeeded(about)
        return _analyze(attempt, title, messages, about)

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """All conversations as JSON lines and as a table of messages, and what goes through them."""
        outcome: dict[str, Any] = {"files": keep_exports(batch)}
        if batch.parameters["analyze"]:
            outcome["overall"] = themes_across(batch)
        forget_checkpoints(batch)
        return outcome


# --- Which conversations ----------------------------------------------------------------------------


def _items(listed: Any, path: str, problems: Problems) -> list[NewItem]:
    """An item per conversation; one without an id has its number."""
    items: dict[str, NewItem] = {}
    for index, value in listed:
        if problems.is_full:
            break
        place = f"{path}.{index}"
        conversation = read_conversation(value, place, problems)
        if conversation is None:
            continue
        key = value.get("id") or value.get("conversation_id") or str(index if path == "line" else index + 1)
        if fault := text_fault(key, maximum=LONGEST_ID):
            problems.add(f"{place}.id", *fault)
        elif key in items:
            problems.add(f"{place}.id", "Is the id of another conversation as well.", "duplicate")
        else:
            items[key] = NewItem(key, conversation)
    return list(items.values())


def _read_records(owner_id: int, filters: Any, parameters: dict[str, Any], problems: Problems) -> Paged | None:
    found = filter_problems(filters)
    problems.extend(found)
    if found:
        return None
    parameters["filters"] = dict(filters)
    records = _records(owner_id, filters).order_by().aggregate(count=Count("pk"), last=Max("pk"))
    return Paged({"after": 0, "through": records["last"] or 0}, records["count"])


def _records(owner_id: int, filters: Mapping[str, Any]) -> RecordQuerySet:
    owned: RecordQuerySet = Record.objects.owned_by(owner_id).filter(kind=Kind.CONVERSATION)
    return owned.matching(filters)


def _conversation(attempt: Attempt) -> tuple[str, list[Message]] | None:
    """Title and messages; None when the record has gone."""
    if "recordId" not in attempt.input:
        return attempt.input["title"], stored_messages(attempt.input)
    try:
        record = Record.objects.owned_by(attempt.owner_id).filter(public_id=attempt.input["recordId"]).first()
    finally:
        give_back_connection()
    return None if record is None else (record.title, messages_of_record(record.content, record.metadata))


# --- One conversation -------------------------------------------------------------------------------


def _analyze(attempt: Attempt, title: str, messages: list[Message], about: dict[str, Any]) -> Outcome:
    parts, wish = parts_of(messages), attempt.parameters["question"]
    checkpoints = Checkpoints(attempt.item_id)
    answers: list[dict[str, Any]] = []
    if len(parts) > 1:
        answers = (checkpoints.read("answers") or [])[: len(parts)]
    if len(answers) < len(parts):
        answer = _ask(attempt, part_question(title, parts, len(answers), wish), PART_SCHEMA)
        if answer is None:
            return _INVALID_ANSWER
        answers.append(answer)
        if len(parts) > 1:
            checkpoints.write("answers", answers)
            return Snooze()
        whole: dict[str, Any] | None = answer
    else:
        whole = _ask(attempt, whole_question(answers, wish), WHOLE_SCHEMA)
    if whole is None:
        return _INVALID_ANSWER
    return Succeeded({**about, **_with_messages(attempt, merged(answers, whole, len(messages)))})


def _ask(attempt: Attempt, prompt: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    return read_answer(attempt.ask(_request(attempt, prompt, schema)).text, schema)


def _request(attempt: Attempt, prompt: str, schema: Mapping[str, Any]) -> ChatRequest:
    return ChatRequest(
        prompt=prompt,
        system_prompt=SYSTEM_PROMPT,
        schema=schema,
        schema_name="conversation",
        reference=attempt.reference,
        timeout_seconds=attempt.timeout_seconds,
    )


def _with_messages(attempt: Attempt, analysis: dict[str, Any]) -> dict[str, Any]:
    messages = analysis["messages"]
    if len(messages) <= MOST_INLINE_MESSAGES:
        return analysis
    kept = keep_file(attempt.item_id, f"{attempt.key}-messages.json", "application/json", orjson.dumps(messages))
    return {**analysis, "messages": messages[:MOST_INLINE_MESSAGES], "messagesFile": kept}
