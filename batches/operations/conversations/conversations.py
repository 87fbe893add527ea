"""Conversations as people have them: lists of messages, exports of ChatGPT, records, transcripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batches.operations.payload import Problems, is_storable, text_fault

MOST_MESSAGES = 5_000
MOST_CHARACTERS = 1_200_000
LONGEST_ROLE = 40
LONGEST_TITLE = 500
LONGEST_ID = 200
_SPEAKER = re.compile(
    r"(?:\*\*)?(user|assistant|system|human|ai|bot|agent|customer|tool)(?:\*\*)?\s*:\s*(.*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``at``: when, as ISO 8601, or empty."""

    role: str
    text: str
    at: str = ""

    def document(self) -> dict[str, str]:
        """As an item's input keeps it."""
        return {"role": self.role, "content": self.text, **({"createdAt": self.at} if self.at else {})}


def read_conversation(value: Any, path: str, problems: Problems) -> dict[str, Any] | None:
    """``{title, messages}`` of a conversation as a client sent it, or None when there are problems with it.

    Takes ``messages`` (``role`` and ``content``, a string or OpenAI's list of parts), or ``mapping`` as ChatGPT exports
    it.
    """
    if not isinstance(value, dict):
        problems.add(path, "Must be an object.", "invalid_type")
        return None
    title = value.get("title")
    if fault := text_fault(title, maximum=LONGEST_TITLE, required=False):
        problems.add(f"{path}.title", *fault)
        return None
    if isinstance(value.get("mapping"), dict):
        messages = _of_mapping(value["mapping"], value.get("current_node"))
        place = f"{path}.mapping"
    else:
        place = f"{path}.messages"
        listed = _messages(value.get("messages"), place, problems)
        if listed is None:
            return None
        messages = listed
    if fault := _fault_of(messages):
        problems.add(place, *fault)
        return None
    return {"title": title or "", "messages": [message.document() for message in messages]}


def _messages(listed: Any, path: str, problems: Problems) -> list[Message] | None:
    if not isinstance(listed, list):
        problems.add(path, "Must be a list of messages.", "invalid_type" if listed is not None else "required")
        return None
    messages: list[Message] = []
    good = True
    for index, entry in enumerate(listed[: MOST_MESSAGES + 1]):
        message = _message(entry, f"{path}.{index}", problems)
        good = good and message is not None
        if message is not None and message.text:
            messages.append(message)
    return messages if good else None


def _message(entry: Any, path: str, problems: Problems) -> Message | None:
    if not isinstance(entry, dict):
        problems.add(path, "Must be an object with role and content.", "invalid_type")
        return None
    role, text = entry.get("role"), _text(entry.get("content"))
    if fault := text_fault(role, maximum=LONGEST_ROLE):
        problems.add(f"{path}.role", *fault)
        return None
    if text is None or not is_storable(text):
        problems.add(f"{path}.content", "Must be a text, or a list of parts with texts.", "invalid_type")
        return None
    return Message(
        str(role), text, _instant(entry.get("createdAt") or entry.get("created_at") or entry.get("timestamp"))
    )


def _text(content: Any) -> str | None:
    """The text of a message; what is no text is named in brackets."""
    if content is None:  # an assistant's message that only calls tools
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict):
            text = part.get("text")
            kind = str(part.get("type") or part.get("content_type") or "attachment")
            parts.append(text if isinstance(text, str) else f"[{kind[:40]}]")
    return "\n".join(parts)


def _instant(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 40 and is_storable(value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 4e9:
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return ""


def _of_mapping(mapping: Mapping[str, Any], current: Any) -> list[Message]:
    """The branch that ends at the current node; without one, every message by its time."""
    nodes: list[Any] = []
    seen: set[str] = set()
    node_id = current
    while isinstance(node_id, str) and node_id not in seen and isinstance(node := mapping.get(node_id), dict):
        seen.add(node_id)
        nodes.append(node)
        node_id = node.get("parent")
    nodes.reverse()
    if not nodes:
        nodes = sorted((node for node in mapping.values() if isinstance(node, dict)), key=_time_of)
    found = (_of_node(node.get("message")) for node in nodes)
    return [message for message in found if message is not None and message.text.strip()]


def _time_of(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    at = message.get("create_time") if isinstance(message, dict) else None
    return float(at) if isinstance(at, int | float) else 0.0


def _of_node(message: Any) -> Message | None:
    if not isinstance(message, dict):
        return None
    author, content = message.get("author"), message.get("content")
    role = author.get("role") if isinstance(author, dict) else None
    text = _text(content.get("parts")) if isinstance(content, dict) else None
    if not isinstance(role, str) or not text or not is_storable(text + role):
        return None
    return Message(role[:LONGEST_ROLE], text, _instant(message.get("create_time")))


def _fault_of(messages: Sequence[Message]) -> tuple[str, str] | None:
    if not any(message.text.strip() for message in messages):
        return "Must hold a message with a text.", "empty"
    if len(messages) > MOST_MESSAGES:
        return f"Must hold at most {MOST_MESSAGES} messages.", "too_many"
    if sum(len(message.text) for message in messages) > MOST_CHARACTERS:
        return f"Must have at most {MOST_CHARACTERS} characters in all.", "too_long"
    return None


def messages_of_record(content: str, metadata: Mapping[str, Any]) -> list[Message]:
    """A record's messages: those of its metadata, or its content read as a transcript with a speaker before a colon."""
    problems = Problems()
    if isinstance(metadata.get("messages"), list):
        kept = read_conversation({"messages": metadata["messages"]}, "", problems)
        if kept is not None:
            return stored_messages(kept)
    return [message for message in _of_transcript(content[:MOST_CHARACTERS]) if message.text][:MOST_MESSAGES]


def _of_transcript(content: str) -> Iterator[Message]:
    role, lines = "unknown", list[str]()
    for line in content.splitlines():
        if spoken := _SPEAKER.match(line):
            yield Message(role, "\n".join(lines).strip())
            role, lines = spoken.group(1).lower(), [spoken.group(2)]
        else:
            lines.append(line)
    yield Message(role, "\n".join(lines).strip())


def stored_messages(document: Mapping[str, Any]) -> list[Message]:
    """The messages that an item's input keeps."""
    return [Message(one["role"], one["content"], one.get("createdAt", "")) for one in document["messages"]]
