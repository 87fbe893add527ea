"""Many items waiting in retry: what they cost each process, and how soon an urgent photo starts beside them.

The provider answers 503 to each of them once; the batch asks for a first delay of up to an hour, and so they wait.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import psycopg

from benchmarks.photos import images
from benchmarks.processes import cpu_seconds, members, memory_bytes, spent_between
from benchmarks.stack import Stack

BACKOFF_MS = 3_600_000
SETTLING_SECONDS = 15.0
IDLE_SECONDS = 20.0
URGENT_PHOTOS = 20
GOAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Idle:
    """A quiet moment: memory of each process in bytes, CPU of each kind as a share of a core."""

    memory: dict[str, int]
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class Waited:
    """What was measured. ``due``: seconds until the first and the last waiting item is due; ``starts``: seconds from
    each urgent photo's POST until the sandbox saw its call."""

    before: Idle
    during: Idle
    after: Idle
    due: tuple[float, float]
    starts: list[float]


def measure(stack: Stack, *, items: int) -> Waited:
    """Warm up, let the items fail once, look at the processes, send urgent photos, cancel, look again."""
    stack.sandbox("PUT", "config", {"latency_ms": 50, "jitter_ms": 0})
    run_through(stack, items // 10)
    before = idle(stack)
    print("  warmed up", flush=True)
    batch, due = let_wait(stack, items)
    during = idle(stack)
    print(f"  {items:,} wait for {due[0] / 60:.0f} to {due[1] / 60:.0f} minutes", flush=True)
    starts = [start_urgent(stack) for _ in range(URGENT_PHOTOS)]
    print(f"  urgent photos started after {max(starts):.2f} s at most", flush=True)
    stack.call("POST", f"/api/batch/cancel/{batch}")
    wait_for(stack, "SELECT settled_at IS NOT NULL FROM batches_batch WHERE public_id = %s", batch)
    return Waited(before, during, idle(stack), due, starts)


def run_through(stack: Stack, items: int) -> None:
    """A batch that succeeds, so that every process has once done what it does."""
    batch = stack.call("POST", "/api/batch/process", {"shootId": "warm-up", "images": images(items)})["jobId"]
    wait_for(stack, "SELECT settled_at IS NOT NULL FROM batches_batch WHERE public_id = %s", batch)


def let_wait(stack: Stack, items: int) -> tuple[str, tuple[float, float]]:
    """Submit while the provider refuses everything, until each item has had its call; then the provider is well."""
    stack.sandbox("PUT", "config", {"error_rates": {"503": 1}})
    content = {"shootId": "waiting", "images": images(items), "options": {"backoff": BACKOFF_MS}}
    batch = stack.call("POST", "/api/batch/process", content)["jobId"]
    tried = "SELECT bool_and(item.attempts = 1 AND item.status = 'pending') FROM batches_item AS item"
    wait_for(stack, f"{tried} JOIN batches_batch AS batch ON batch.id = batch_id WHERE public_id = %s", batch)
    stack.sandbox("PUT", "config", {"error_rates": {}})
    with psycopg.connect(stack.environment()["DATABASE_URL"]) as database:
        due = database.execute(
            "SELECT extract(epoch FROM min(due_at) - now())::float8, extract(epoch FROM max(due_at) - now())::float8"
            "  FROM batches_item AS item JOIN batches_batch AS batch ON batch.id = batch_id WHERE public_id = %s",
            [batch],
        ).fetchone()
    assert due is not None
    return batch, due


def wait_for(stack: Stack, question: str, batch: str) -> None:
    """Ask the database until it says yes."""
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as database:
        while not (row := database.execute(question.encode(), [batch]).fetchone()) or not row[0]:
            time.sleep(1.0)


def start_urgent(stack: Stack) -> float:
    """Seconds from the POST of a photo of high priority until its call arrived; both by this machine's clock."""
    stack.sandbox("DELETE", "log")
    began = time.time()
    stack.call("POST", "/api/batch/process", {"shootId": "urgent", "images": images(1), "priority": "high"})
    while not (log := stack.sandbox("GET", "log")):
        time.sleep(0.02)
    started: float = log[0]["at"]
    time.sleep(0.5)
    return started - began


def idle(stack: Stack) -> Idle:
    """Let everything settle; then memory, and CPU over some seconds."""
    time.sleep(SETTLING_SECONDS)
    spent = cpu_seconds(stack.launcher_pid)
    time.sleep(IDLE_SECONDS)
    used = spent_between(spent, cpu_seconds(stack.launcher_pid))
    memory = memory_bytes(members(stack.launcher_pid))
    return Idle(memory, {kind: seconds / IDLE_SECONDS for kind, seconds in used.items()})


def report(waited: Waited, *, items: int) -> str:
    """Markdown tables."""
    first, last = (f"{seconds / 60:.0f}" for seconds in waited.due)
    slowest = max(waited.starts)
    lines = [
        f"### {items:,} items waiting in retry",
        "",
        f"Each was tried once (503) and is due {first} to {last} minutes later. {len(waited.starts)} photos of high"
        f" priority, one after the other, started {statistics.median(waited.starts):.2f} s after their POST (median),"
        f" {slowest:.2f} s at most: {'under' if slowest < GOAL_SECONDS else '**over**'} {GOAL_SECONDS:g} s.",
        "",
        "| process | before, MB | while they wait, MB | after, MB |",
        "|---|---|---|---|",
    ]
    for name in waited.before.memory:
        used = [moment.memory.get(name, 0) / 2**20 for moment in (waited.before, waited.during, waited.after)]
        lines.append(f"| {name} | {' | '.join(f'{each:,.0f}' for each in used)} |")
    lines += ["", "| CPU, share of a core | before | while they wait | after |", "|---|---|---|---|"]
    for kind in waited.before.cpu:
        used = [moment.cpu.get(kind, 0.0) for moment in (waited.before, waited.during, waited.after)]
        lines.append(f"| {kind} | {' | '.join(f'{each:.1%}' for each in used)} |")
    return "\n".join(lines)
