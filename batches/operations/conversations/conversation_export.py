"""All conversations of a batch in files: a line per conversation, a row per message."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from django.core.files.base import File

from batches.files import LINES_TYPE, FileMissing, file_content
from batches.models import Batch, Item
from batches.operations.checkpoints import give_back_connection
from batches.operations.conversations.conversations import Message, messages_of_record, stored_messages
from batches.operations.result_lines import items_in_pages
from batches.result_files import store_result
from batches.tables.cells import neutral
from records.models import Record

LINES_NAME = "conversations.jsonl"
TABLE_NAME = "messages.csv"
COLUMNS = ("conversation", "title", "number", "role", "at", "content", "sentiment", "topic")


def keep_exports(batch: Batch) -> dict[str, str]:
    """Keep both files as results of the batch; returns their ids by what they are."""
    with tempfile.TemporaryFile() as lines, tempfile.TemporaryFile() as table:
        text = io.TextIOWrapper(table, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for page in items_in_pages(batch):
            for item, title, messages in _conversations(batch.owner_id, page):
                said = _said(batch.owner_id, item.result or {})
                lines.write(orjson.dumps(_line(item, title, messages, said)) + b"\n")
                writer.writerows(_rows(item, title, messages, said))
        text.detach()
        kept = {
            "conversations": store_result(batch, LINES_NAME, LINES_TYPE, File(lines, name=LINES_NAME)),
            "messages": store_result(batch, TABLE_NAME, "text/csv", File(table, name=TABLE_NAME)),
        }
    return {what: stored.public_id for what, stored in kept.items()}


def _conversations(owner_id: int, items: Sequence[Item]) -> Iterator[tuple[Item, str, list[Message]]]:
    """Their messages as they are now; of a record that has gone none."""
    for start in range(0, len(items), 100):  # some at a time: a conversation may have a million characters
        chunk = items[start : start + 100]
        wanted = [item.input["recordId"] for item in chunk if "recordId" in item.input]
        records = {
            record.public_id: record for record in Record.objects.owned_by(owner_id).filter(public_id__in=wanted)
        }
        give_back_connection()
        for item in chunk:
            record = records.get(item.input.get("recordId", ""))
            if record is not None:
                yield item, record.title, messages_of_record(record.content, record.metadata)
            elif "messages" in item.input:
                yield item, item.input["title"], stored_messages(item.input)
            else:
                yield item, "", []


def _said(owner_id: int, result: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """What the analysis says about each message, by its number."""
    messages = result.get("messages", [])
    if (kept := result.get("messagesFile")) is not None:
        with contextlib.suppress(FileMissing):
            messages = orjson.loads(file_content(owner_id, kept["fileId"]))
    return {entry["number"]: entry for entry in messages}


def _line(item: Item, title: str, messages: Sequence[Message], said: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    result = item.result or {}
    line: dict[str, Any] = {"id": item.key, "title": title, "status": item.status}
    for name in ("summary", "topics", "sentiment"):
        if name in result:
            line[name] = result[name]
    if item.error_code:
        line["error"] = {"code": item.error_code, "message": item.error_message}
    line["messages"] = [
        {**message.document(), **{name: said[number][name] for name in ("sentiment", "topic") if number in said}}
        for number, message in enumerate(messages, start=1)
    ]
    return line


def _rows(
    item: Item, title: str, messages: Sequence[Message], said: Mapping[int, Mapping[str, Any]]
) -> Iterator[list[Any]]:
    for number, message in enumerate(messages, start=1):
        found = said.get(number, {})
        texts = (message.role, message.at, message.text, found.get("sentiment", ""), found.get("topic", ""))
        yield [neutral(item.key), neutral(title), number, *map(neutral, texts)]
