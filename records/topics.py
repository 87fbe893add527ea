"""Topics: what memories are filed under, perhaps one below the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.db.models.functions import Now

from batches.operations.payload import Problems, document_problems, text_fault
from batches.problems import Conflict, InvalidInput, Problem
from records.filters import is_uuid
from records.models import Record, Topic

LONGEST_NAME = 100
LONGEST_DESCRIPTION = 500
LONGEST_ICON = 50
MOST_TOPICS = 1_000
"""Of one owner: the whole tree is answered at once."""
DEEPEST = 20
COLOR = re.compile(r"#[0-9A-Fa-f]{6}")

Values = dict[str, Any]


def read_topic(data: Mapping[str, Any], *, creating: bool) -> Values:
    """The fields that are given. Raises :class:`InvalidInput`. Unknown ones are left alone."""
    problems = Problems()
    values: Values = {}
    if creating or "name" in data:
        if fault := text_fault(data.get("name"), maximum=LONGEST_NAME):
            problems.add("name", *fault)
        values["name"] = data.get("name")
    for name, maximum in (("description", LONGEST_DESCRIPTION), ("icon", LONGEST_ICON), ("color", 7)):
        if name in data:
            if fault := text_fault(data[name], maximum=maximum, required=False):
                problems.add(name, *fault)
            values[name] = data[name] or ""
    if values.get("color") and not COLOR.fullmatch(str(values["color"])):
        problems.add("color", "Must be a color such as #1a2b3c.", "invalid_color")
    if "parent_topic_id" in data:
        values["parent_topic_id"] = _parent(data["parent_topic_id"], problems)
    if data.get("metadata") is not None:
        if not isinstance(data["metadata"], dict):
            problems.add("metadata", "Must be an object.", "invalid_type")
        problems.extend(document_problems(data["metadata"], "metadata"))
        values["metadata"] = data["metadata"]
    problems.raise_if_any()
    return values


def _parent(value: object, problems: Problems) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and is_uuid(value):
        return value.lower()
    problems.add("parent_topic_id", "Must be the UUID of a topic, or null.", "invalid_uuid")
    return None


def all_topics(owner_id: int) -> list[Topic]:
    """The owner's, by name."""
    return list(Topic.objects.filter(owner_id=owner_id).select_related("parent").order_by("name", "pk"))


def find_topic(owner_id: int, public_id: str) -> Topic | None:
    """The owner's topic of this id."""
    if not is_uuid(public_id):
        return None
    return Topic.objects.filter(owner_id=owner_id, public_id=public_id).select_related("parent").first()


def find_unchanged_topic(owner_id: int, public_id: str) -> Topic | None:
    """The same, if nobody has changed it since it was created."""
    topic = find_topic(owner_id, public_id)
    return topic if topic and topic.updated_at == topic.created_at else None


def create_topic(owner_id: int, values: Values) -> Topic:
    """A new one. Raises :class:`Conflict` for a name that is taken there."""
    with transaction.atomic():
        topics = _locked(owner_id)
        if len(topics) >= MOST_TOPICS:
            raise Conflict(f"There are {MOST_TOPICS} topics already.")
        return _save(Topic(owner_id=owner_id), values, topics)


def update_topic(owner_id: int, topic: Topic, values: Values) -> Topic:
    """Replace the given fields."""
    with transaction.atomic():
        topics = _locked(owner_id)
        if topic.pk not in topics:
            raise Conflict("The topic was deleted meanwhile.")
        return _save(topics[topic.pk], values, topics)


def delete_topic(topic: Topic) -> None:
    """Its memories stay, filed under nothing; the topics below it move up to where it was."""
    try:
        with transaction.atomic():
            Topic.objects.filter(parent=topic).update(parent=topic.parent_id, updated_at=Now())
            topic.delete()
    except IntegrityError:
        raise Conflict("A topic below this one has the name of a topic beside it.") from None


def memory_counts(owner_id: int) -> dict[int, int]:
    """How many memories each topic has, by the topic's key."""
    filed = Record.objects.owned_by(owner_id).memories().filter(topic__isnull=False)
    return dict(filed.order_by().values_list("topic").annotate(Count("pk")))


def _locked(owner_id: int) -> dict[int, Topic]:
    """All of the owner's, locked: a tree changed by two at once might close to a ring."""
    topics = Topic.objects.filter(owner_id=owner_id).order_by("pk").select_for_update()
    return {topic.pk: topic for topic in topics}


def _save(topic: Topic, values: Values, topics: Mapping[int, Topic]) -> Topic:
    given = dict(values)
    if "parent_topic_id" in given:
        topic.parent = _checked_parent(topic, given.pop("parent_topic_id"), topics)
    for name, value in given.items():
        setattr(topic, name, value)
    topic.updated_at = Now()
    try:
        with transaction.atomic():
            topic.save()
    except IntegrityError:
        raise Conflict("There is a topic of this name already.") from None
    topic.refresh_from_db()
    return topic


def _checked_parent(topic: Topic, public_id: str | None, topics: Mapping[int, Topic]) -> Topic | None:
    if public_id is None:
        return None
    parent = next((one for one in topics.values() if str(one.public_id) == public_id), None)
    if parent is None:
        raise InvalidInput([Problem("parent_topic_id", "The topic does not exist.", "unknown_topic")])
    above, depth = parent, 1
    while True:
        if above.pk == topic.pk:
            raise InvalidInput([Problem("parent_topic_id", "A topic cannot be below itself.", "invalid_parent")])
        if depth > DEEPEST:
            raise InvalidInput([Problem("parent_topic_id", f"At most {DEEPEST} topics deep.", "too_deep")])
        if above.parent_id is None:
            return parent
        above, depth = topics[above.parent_id], depth + 1
