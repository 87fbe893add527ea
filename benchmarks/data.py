"""Imports, exports and a cleanup of many records: seconds, CPU by kind, memory of the worker and of the web process.

Every file is made by the system itself: the records are imported from CSV, exported in each format, and each of these
files is imported again by another user. The POST of an import reads the whole file, in a process of its own, and is
given apart; the rest is the batch's, from its creation to its end.
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.processes import MemorySamples, cpu_seconds, spent_between
from benchmarks.stack import ROOT, Stack, running_stack

FORMATS = ("csv", "json", "jsonl", "xlsx")
POLL_SECONDS = 0.1
LONGEST_SECONDS = 1_800.0
VOCABULARY = 3_000
WORDS_EACH = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """One batch. ``accepted_seconds``: until its POST was answered. Memory in bytes: at the beginning, and the most."""

    name: str
    records: int
    accepted_seconds: float
    seconds: float
    cpu: dict[str, float]
    worker: tuple[int, int]
    web: tuple[int, int]
    file_bytes: int = 0


def measure(records: int) -> list[Measured]:
    """Start a system with one worker and run everything once."""
    with running_stack(1) as stack:
        other = Stack(stack.port, another_key(stack), stack.data, stack.launcher_pid)
        upload = send(stack, "records.csv", "".join(lines(records)).encode())
        measured = [importing(stack, "import csv, of somebody's own", upload, records)]
        for form in FORMATS:
            exported, content = exporting(stack, form, records)
            measured.append(exported)
            name = f"import {form}, of this export, {'all new' if form == FORMATS[0] else 'all there'}"
            measured.append(importing(other, name, send(other, f"r.{form}", content), records))
        measured.append(run(stack, "cleanup", {"operation": "cleanup", "all": True}, records)[0])
        return measured


def lines(records: int) -> Iterator[str]:
    """CSV of invoices of about 300 characters, from a vocabulary as large as a person's mail has."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices("abcdefghiklmnoprstu", k=chance.randint(3, 10))) for _ in range(VOCABULARY)]
    row = io.StringIO()
    writer = csv.writer(row)
    writer.writerow(["key", "title", "content", "tags", "status", "kind", "category", "metadata.amount"])
    for number in range(records):
        content = " ".join(chance.choices(vocabulary, k=WORDS_EACH))
        writer.writerow([f"INV-{number}", f"Invoice {number}", content, "a, b", "pending", "node", "invoice", number])
        if row.tell() > 1_000_000 or number == records - 1:
            yield row.getvalue()
            row.seek(0)
            row.truncate()


def another_key(stack: Stack) -> str:
    """The key of a second user."""
    secret = f"bsk_bench_{secrets.token_urlsafe(16)}"
    code = (
        "from django.contrib.auth.models import User; from batches.models import ApiKey;"
        f"ApiKey.issue(owner_id=User.objects.create_user('other').pk, name='bench', secret={secret!r})"
    )
    command = [sys.executable, "manage.py", "shell", "-c", code]
    subprocess.run(command, cwd=ROOT, env=stack.environment(), check=True, capture_output=True)
    return secret


def importing(stack: Stack, name: str, upload: str, records: int) -> Measured:
    """One import; every row must arrive."""
    measured, outcome = run(stack, name, {"operation": "import", "fileId": upload}, records)
    assert outcome["created"] + outcome["updated"] == records, outcome
    return measured


def exporting(stack: Stack, form: str, records: int) -> tuple[Measured, bytes]:
    """One export, and its file."""
    measured, outcome = run(stack, f"export {form}", {"operation": "export", "format": form}, records)
    assert outcome["rows"] == records, outcome
    content = fetch(stack, f"/api/files/{outcome['files'][0]['fileId']}")
    return replace(measured, file_bytes=len(content)), content


def run(stack: Stack, name: str, body: dict[str, Any], records: int) -> tuple[Measured, dict[str, Any]]:
    """One batch from its POST to its end."""
    before = cpu_seconds(stack.launcher_pid)
    with MemorySamples(stack.launcher_pid) as samples:
        began = time.perf_counter()
        batch = stack.call("POST", "/api/batch/create", body)["batch"]
        accepted = time.perf_counter() - began
        while batch["status"] not in ("completed", "failed", "cancelled"):
            assert time.perf_counter() - began < LONGEST_SECONDS, batch
            time.sleep(POLL_SECONDS)
            batch = stack.call("GET", f"/api/batch/{batch['id']}")["batch"]
        seconds = time.perf_counter() - began - accepted
    assert batch["status"] == "completed" and batch["failed_items"] == 0, batch
    memory = {process: (growth.first, growth.peak) for process, growth in samples.growth().items()}
    worker, web = (
        next(both for process, both in memory.items() if process.startswith(kind)) for kind in ("worker", "web")
    )
    cpu = spent_between(before, cpu_seconds(stack.launcher_pid))
    measured = Measured(name, records, accepted, seconds, cpu, worker, web)
    print(f"  {describe(measured)}", flush=True)
    return measured, batch["outcome"]


def send(stack: Stack, name: str, content: bytes) -> str:
    """Upload a file; its id."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = _request(stack, "POST", "/api/files", body, headers)
    file_id: str = json.loads(answer)["fileId"]
    return file_id


def fetch(stack: Stack, path: str) -> bytes:
    """A file's bytes."""
    return _request(stack, "GET", path, None, {})


def _request(stack: Stack, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=300)
    try:
        connection.request(method, path, body, {**headers, "Authorization": f"Bearer {stack.key}"})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content[:500]
        return content
    finally:
        connection.close()


def describe(one: Measured) -> str:
    """In a line."""
    return (
        f"{one.name}: 202 after {one.accepted_seconds:.1f} s, then {one.seconds:.1f} s,"
        f" {one.records / one.seconds:,.0f} records/s"
    )


def report(measured: list[Measured]) -> str:
    """The table."""
    lines = [
        f"### Imports, exports and a cleanup of {measured[0].records:,} records, 1 worker",
        "",
        "| batch | 202 after, s | then, s | records/s | CPU s: web | worker | Postgres | worker MB: before | most"
        " | web MB: before | most | file MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        cpu = " | ".join(f"{one.cpu.get(kind, 0):.1f}" for kind in ("web", "worker", "postgres"))
        memory = " | ".join(f"{value / 1e6:.0f}" for value in (*one.worker, *one.web))
        size = f"{one.file_bytes / 1e6:.1f}" if one.file_bytes else ""
        lines.append(
            f"| {one.name} | {one.accepted_seconds:.1f} | {one.seconds:.1f} | {one.records / one.seconds:,.0f}"
            f" | {cpu} | {memory} | {size} |"
        )
    return "\n".join(lines)
