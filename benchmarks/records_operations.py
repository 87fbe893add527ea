"""Document 004's data operations on many records: seconds from the POST to the end, CPU by kind, the worker's memory.

The same records, one operation after the other, by one worker: changes of the metadata, changes of what is searched, a
JSON Schema of fifteen keywords, a report of four tables over them and one over past batches, and annotations by a
sandbox that answers at once, which cost a call and an item each.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.processes import MemorySamples, cpu_seconds, spent_between
from benchmarks.stack import Stack, running_stack

RECORDS = 100_000
ANNOTATED = 10_000
POLL_SECONDS = 0.1
LONGEST_SECONDS = 1_800.0
WORDS = "invoice payment total amount account letter contract party delivery order product meeting staff notes".split()  # noqa: SIM905
SCHEMA = {
    "type": "object",
    "required": ["title", "content", "metadata"],
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "metadata": {
            "type": "object",
            "required": ["category", "amount", "day"],
            "properties": {
                "category": {"enum": ["invoice", "receipt"]},
                "amount": {"type": "number", "minimum": 0, "maximum": 990},
                "day": {"type": "string", "format": "date"},
                "number": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
            },
        },
    },
}
RENAMED = {"action": "rename", "field": "catgory", "to": "category"}
MAPPED = {"action": "map", "field": "category", "values": {"inv": "invoice", "rec": "receipt"}}
TAGGED = {"action": "add_tags", "tags": ["checked"]}
OPERATIONS: list[tuple[str, dict[str, Any]]] = [
    ("transform: rename and map in the metadata", {"operation": "transform", "changes": [RENAMED, MAPPED]}),
    ("transform: a tag, which is searched", {"operation": "transform", "changes": [TAGGED]}),
    ("transform: nothing left to change", {"operation": "transform", "changes": [RENAMED, TAGGED]}),
    ("validate: 1 % of failures", {"operation": "validate", "schema": SCHEMA}),
    ("validate, and mark each record", {"operation": "validate", "schema": SCHEMA, "markRecords": True}),
    ("report: four tables", {"operation": "report"}),
    ("report over batches", {"operation": "report", "over": "batches"}),
]


@dataclass(frozen=True, slots=True)
class Measured:
    """One batch. Memory in bytes: the worker's when it began, and the most it had."""

    name: str
    records: int
    seconds: float
    cpu: dict[str, float]
    worker_first: int
    worker_peak: int


def measure(records: int) -> list[Measured]:
    """Start a system with one worker, fill it, run everything once."""
    with running_stack(1) as stack:
        fill(stack, records)
        measured = [run(stack, name, body, records) for name, body in OPERATIONS]
        annotated = min(records, ANNOTATED)
        stack.sandbox("PUT", "config", {"latency_ms": 0})
        body = {"operation": "annotate", "filters": {"part": "first"}, "options": {"batchSize": 500}}
        return [*measured, run(stack, "annotate", body, annotated)]


def fill(stack: Stack, records: int) -> None:
    """So many invoices of about 400 characters; the metadata has a misspelt name and abbreviations."""
    owner = stack.call("POST", "/api/v1/memory", {"title": "first", "content": "first"})["user_id"]
    chance = random.Random(7)
    print(f"  storing {records:,} records", flush=True)
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as database:
        database.execute("DELETE FROM records_record")
        columns = "public_id, owner_id, kind, status, title, content, tags, metadata"
        with database.cursor().copy(f"COPY records_record ({columns}) FROM STDIN") as copy:
            for number in range(records):
                content = ". ".join(" ".join(chance.choices(WORDS, k=12)) for _ in range(5))
                metadata = {
                    "catgory": chance.choice(["inv", "rec"]),
                    "amount": number % 1_000,
                    "day": f"2026-{1 + number % 12:02}-{1 + number % 28:02}",
                    "number": f"AB-{number}",
                    "part": "first" if number < ANNOTATED else "rest",
                }
                row = (f"mem_bench{number}", owner, "node", "pending", f"Invoice {number}", content, ["bench"])
                copy.write_row((*row, json.dumps(metadata)))
        database.execute("VACUUM ANALYZE records_record")


def run(stack: Stack, name: str, body: dict[str, Any], records: int) -> Measured:
    """One batch from its POST to its end."""
    before = cpu_seconds(stack.launcher_pid)
    with MemorySamples(stack.launcher_pid) as samples:
        began = time.perf_counter()
        batch = stack.call("POST", "/api/batch/create", body)["batch"]
        while batch["status"] not in ("completed", "failed", "cancelled"):
            assert time.perf_counter() - began < LONGEST_SECONDS, batch
            time.sleep(POLL_SECONDS)
            batch = stack.call("GET", f"/api/batch/{batch['id']}")["batch"]
        seconds = time.perf_counter() - began
    assert batch["status"] == "completed" and batch["failed_items"] == 0, batch
    worker = next(growth for process, growth in samples.growth().items() if process.startswith("worker"))
    cpu = spent_between(before, cpu_seconds(stack.launcher_pid))
    measured = Measured(name, records, seconds, cpu, worker.first, worker.peak)
    print(f"  {describe(measured)}", flush=True)
    return measured


def describe(one: Measured) -> str:
    """In a line."""
    return f"{one.name}: {one.seconds:.1f} s, {one.records / one.seconds:,.0f} records/s"


def report(measured: list[Measured]) -> str:
    """The table."""
    lines = [
        f"### Data operations on {measured[0].records:,} records, 1 worker",
        "",
        "| operation | records | seconds | records/s | CPU s: worker | Postgres | worker MB: before | most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.records:,} | {one.seconds:.1f} | {one.records / one.seconds:,.0f}"
        f" | {one.cpu.get('worker', 0):.1f} | {one.cpu.get('postgres', 0):.1f}"
        f" | {one.worker_first / 1e6:.0f} | {one.worker_peak / 1e6:.0f} |"
        for one in measured
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(measure(RECORDS)))
