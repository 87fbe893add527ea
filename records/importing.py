"""Writing many rows into an owner's records at once: new ones are created, those that are there are changed.

A row finds its record by the id, then by the key. All rows of a chunk cost a handful of statements; a row that Postgres
will not take is found by halves and refused alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Q

from records.models import Kind, MemoryStatus, Record, Topic
from records.models.record import new_record_id

KEY, TOPIC, CREATED = "key", "topic_id", "created_at"
MOST_ROUNDS = 3
"""A key may appear, or go, between the look and the write; then the row is looked at again."""

TYPES = {
    "key": "text",
    "kind": "text",
    "status": "text",
    "title": "text",
    "content": "text",
    "summary": "text",
    "tags": "text[]",
    "memory_type": "text",
    "topic_id": "bigint",
    "project_ref": "text",
    "quality": "float8",
    "relevance": "float8",
}
"""Columns that an import changes, and their types; the metadata is merged instead."""
COLUMN_OF = {"relevance_score": "relevance"}
EMPTY: dict[str, Any] = {
    "status": MemoryStatus.ACTIVE.value,
    "title": "",
    "content": "",
    "summary": "",
    "tags": [],
    "memory_type": "context",
    "topic_id": None,
    "project_ref": "",
    "quality": None,
    "relevance": None,
}
"""What a new record has where the row says nothing."""


@dataclass(slots=True)
class RecordRow:
    """A row of an import. ``values`` are by the names of filters and files, without those that are not to be touched;
    a topic is named by its public id.

    ``metadata`` holds the names that are set one by one; with ``replaces_metadata`` it is all there is to be.
    ``number`` is the row's in its file.
    """

    number: int
    key: str | None = None
    public_id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    replaces_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not written; ``target`` is the field it is about."""

    number: int
    target: str
    message: str
    code: str


@dataclass(slots=True)
class Written:
    """What became of the rows."""

    created: int = 0
    updated: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def add(self, other: Written) -> Written:
        """Both together."""
        self.created += other.created
        self.updated += other.updated
        self.refused += other.refused
        return self


@dataclass(frozen=True, slots=True)
class Known:
    """A record that is there."""

    pk: int
    public_id: str
    key: str | None
    kind: str


@dataclass(slots=True)
class _Plan:
    updates: list[tuple[Known, RecordRow]] = field(default_factory=list)
    creates: list[RecordRow] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def write_rows(owner_id: int, rows: Sequence[RecordRow]) -> Written:
    """Write rows, each with a key or an id of its own, inside the caller's transaction."""
    try:
        with transaction.atomic():
            return _write(owner_id, rows)
    except (DataError, IntegrityError) as error:
        if len(rows) == 1:
            return Written(refused=[_unstorable(rows[0], error)])
    middle = len(rows) // 2
    return write_rows(owner_id, rows[:middle]).add(write_rows(owner_id, rows[middle:]))


def _unstorable(row: RecordRow, error: DataError | IntegrityError) -> Refusal:
    if isinstance(error, IntegrityError):
        return Refusal(row.number, KEY, "Is the key of another record.", "duplicate")
    return Refusal(row.number, "", "The database does not store this row.", "unstorable")


def _write(owner_id: int, rows: Sequence[RecordRow]) -> Written:
    written = Written()
    topics = _topics(owner_id, rows)
    waiting: Sequence[RecordRow] = rows
    for _ in range(MOST_ROUNDS):
        plan = _plan(owner_id, waiting, topics)
        written.refused += plan.refused
        missed = _update(owner_id, plan.updates, topics)
        written.updated += len(plan.updates) - len(missed)
        lost = _insert(owner_id, plan.creates, topics)
        written.created += len(plan.creates) - len(lost)
        waiting = [*missed, *lost]
        if not waiting:
            return written
    written.refused += [Refusal(row.number, KEY, "Is being changed by somebody else.", "conflict") for row in waiting]
    return written


def _topics(owner_id: int, rows: Iterable[RecordRow]) -> dict[str, int]:
    ids = {row.values[TOPIC] for row in rows if row.values.get(TOPIC)}
    if not ids:
        return {}
    found = Topic.objects.filter(owner_id=owner_id, public_id__in=ids).values_list("public_id", "pk")
    return {str(public_id): pk for public_id, pk in found}


def _plan(owner_id: int, rows: Iterable[RecordRow], topics: dict[str, int]) -> _Plan:
    rows = list(rows)
    by_id, by_key = _known(owner_id, rows)
    plan, taken = _Plan(), set[int | str]()
    for row in rows:
        known = by_id.get(row.public_id or "") or by_key.get(key_of(row))
        owner_of_key = by_key.get(row.key or "")
        identity = known.pk if known else key_of(row)
        fault = _fault(row, known, topics)
        if fault:
            plan.refused.append(Refusal(row.number, *fault))
        elif identity in taken:
            plan.refused.append(Refusal(row.number, KEY, "Is the record of an earlier row as well.", "duplicate"))
        elif known and owner_of_key and owner_of_key.pk != known.pk:
            plan.refused.append(Refusal(row.number, KEY, "Is the key of another record.", "duplicate"))
        elif known:
            plan.updates.append((known, row))
        else:
            plan.creates.append(row)
        taken.add(identity)
    return plan


def key_of(row: RecordRow) -> str:
    """The key that a new record gets: its own, or the id it had elsewhere."""
    return row.key or row.public_id or ""


def _known(owner_id: int, rows: Iterable[RecordRow]) -> tuple[dict[str, Known], dict[str, Known]]:
    ids = {row.public_id for row in rows if row.public_id}
    keys = {key_of(row) for row in rows} | {row.key for row in rows if row.key}
    found = Record.objects.owned_by(owner_id).filter(Q(public_id__in=ids) | Q(key__in=keys))
    known = [Known(*values) for values in found.values_list("pk", "public_id", "key", "kind")]
    return {one.public_id: one for one in known}, {one.key: one for one in known if one.key}


def _fault(row: RecordRow, known: Known | None, topics: dict[str, int]) -> tuple[str, str, str] | None:
    """Field, message and code of what is wrong once it is known whether the record is there."""
    values = row.values
    topic = values.get(TOPIC)
    if topic and topic not in topics:
        return TOPIC, "Is none of your topics.", "not_found"
    if known is None and not str(values.get("content", "")).strip() and not str(values.get("title", "")).strip():
        return "content", "A new record needs a content or a title.", "required"
    kind = values.get("kind") or (known.kind if known else _kind(row))
    if kind == Kind.MEMORY and values.get("status", MemoryStatus.ACTIVE) not in MemoryStatus.values:
        return "status", f"A memory's is one of {', '.join(MemoryStatus.values)}.", "invalid_choice"
    return None


def _kind(row: RecordRow) -> str:
    """A new record is a memory, unless its status is none that a memory has."""
    if kind := row.values.get("kind"):
        return str(kind)
    return (
        Kind.MEMORY.value if row.values.get("status", MemoryStatus.ACTIVE) in MemoryStatus.values else Kind.NODE.value
    )


def _columns(row: RecordRow, topics: dict[str, int]) -> dict[str, Any]:
    columns = {COLUMN_OF.get(name, name): value for name, value in row.values.items() if name != CREATED}
    if TOPIC in columns:
        columns[TOPIC] = topics.get(columns[TOPIC])
    return columns


def _update(owner_id: int, updates: Sequence[tuple[Known, RecordRow]], topics: dict[str, int]) -> list[RecordRow]:
    """Change records; returns the rows whose record is gone meanwhile. Locks are taken in the order of the ids."""
    if not updates:
        return []
    ids = [known.pk for known, _ in updates]
    locked = Record.objects.owned_by(owner_id).filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
    there = set(locked.values_list("pk", flat=True))
    groups: dict[frozenset[str], list[dict[str, Any]]] = {}
    for known, row in updates:
        if known.pk in there:
            columns = _columns(row, topics)
            if row.key and row.key != known.key:
                columns["key"] = row.key
            change = {"id": known.pk, **columns, "metadata": row.metadata, "replaced": row.replaces_metadata}
            groups.setdefault(frozenset(columns), []).append(change)
    for names, changes in groups.items():
        _execute(update_statement(names), changes)
    return [row for known, row in updates if known.pk not in there]


def update_statement(names: Iterable[str]) -> str:
    """One UPDATE of many records, of these columns alone: writing a searched one computes its search index anew."""
    chosen = [name for name in TYPES if name in set(names)]
    assigned = "".join(f", {name} = given.{name}" for name in chosen)
    typed = "".join(f", {name} {TYPES[name]}" for name in chosen)
    return (
        "UPDATE records_record AS record SET updated_at = clock_timestamp(),"  # noqa: S608 - columns of TYPES
        " metadata = CASE WHEN given.replaced THEN given.metadata ELSE record.metadata || given.metadata END"
        f"{assigned} FROM json_to_recordset(%s::json) AS given (id bigint, metadata jsonb, replaced boolean{typed})"
        " WHERE record.id = given.id"
    )


_NAMES = ["public_id", "metadata", "created_at", *TYPES]
_TYPED = ", ".join(
    f"{name} {type_}"
    for name, type_ in {"public_id": "text", "metadata": "jsonb", "created_at": "timestamptz", **TYPES}.items()
)
_VALUES = {"created_at": "COALESCE(created_at, statement_timestamp())"}
_INSERT = f"""
    INSERT INTO records_record (owner_id, {", ".join(_NAMES)})
    SELECT {{owner}}, {", ".join(_VALUES.get(name, name) for name in _NAMES)}
      FROM json_to_recordset(%s::json) AS given ({_TYPED})
    ON CONFLICT (owner_id, key) DO NOTHING
    RETURNING key
"""  # noqa: S608 - columns of this module


def _insert(owner_id: int, rows: Sequence[RecordRow], topics: dict[str, int]) -> list[RecordRow]:
    """Create records; returns the rows whose key somebody else has created meanwhile. In the order of the keys, so that
    two imports of the same keys do not wait for each other."""
    if not rows:
        return []
    documents = [
        {
            **EMPTY,
            **_columns(row, topics),
            "public_id": new_record_id(),
            "key": key_of(row),
            "kind": _kind(row),
            "metadata": row.metadata,
            "created_at": row.values.get(CREATED),
        }
        for row in sorted(rows, key=key_of)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(owner=int(owner_id)), [json.dumps(documents, ensure_ascii=False)])
        created = {key for (key,) in cursor.fetchall()}
    return [row for row in rows if key_of(row) not in created]


def _execute(statement: str, rows: Sequence[dict[str, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(rows, ensure_ascii=False)])
