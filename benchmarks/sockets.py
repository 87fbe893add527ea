"""What it costs that many people watch: one photo batch at full speed with hundreds of WebSockets and with none."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.photos import images
from benchmarks.processes import cpu_seconds, spent_between
from benchmarks.stack import ROOT, Stack

LAST_FRAME_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One batch: items a second from its start to its completion, and the web process's share of a core meanwhile."""

    per_second: float
    web_cpu: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A turn with sockets. ``frames``: received by all of them in a second; ``completed``: sockets that saw the end;
    ``client_cpu``: the receiving process's share of a core, which works on the same machine."""

    turn: Turn
    frames: float
    bytes: float
    completed: int
    client_cpu: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn each on the same system."""

    alone: Turn
    watched: Watched

    @property
    def ratio(self) -> float:
        """Throughput with sockets as a share of that without."""
        return self.watched.turn.per_second / self.alone.per_second


def measure(stack: Stack, *, items: int, pairs: int, sockets: int, latency_ms: int) -> list[Pair]:
    """So many interleaved pairs, each other one the other way round, after a warm-up that is not counted."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    run(stack, submit(stack, 1_000), 1_000)
    measured = []
    for number in range(pairs):
        if number % 2:
            with_sockets = watched(stack, items, sockets)
            pair = Pair(run(stack, submit(stack, items), items), with_sockets)
        else:
            pair = Pair(run(stack, submit(stack, items), items), watched(stack, items, sockets))
        measured.append(pair)
        print(f"  pair {number + 1}: {describe(pair)}", flush=True)
    return measured


def submit(stack: Stack, items: int) -> str:
    """Store a batch that waits for its start, so that every socket is there from the first item on."""
    stack.sandbox("DELETE", "log")
    content = {"shootId": "benchmark", "images": images(items), "autoStart": False}
    identifier: str = stack.call("POST", "/api/batch/process", content)["jobId"]
    return identifier


def run(stack: Stack, batch: str, items: int) -> Turn:
    """Start it and wait for its end."""
    spent = cpu_seconds(stack.launcher_pid)
    started = time.time()
    stack.call("POST", f"/api/batch/{batch}/start")
    while not (status := stack.call("GET", f"/api/batch/status/{batch}")).get("completedAt"):
        time.sleep(0.2)
    if status["status"] != "completed" or status["processedImages"] != items:
        raise RuntimeError(f"The batch did not complete: {status}")
    seconds = datetime.fromisoformat(status["completedAt"]).timestamp() - started
    web = spent_between(spent, cpu_seconds(stack.launcher_pid))["web"]
    return Turn(items / seconds, web / (time.time() - started))


def watched(stack: Stack, items: int, sockets: int) -> Watched:
    """The same while so many sockets watch this batch."""
    batch = submit(stack, items)
    address = f"ws://127.0.0.1:{stack.port}/ws?token={stack.key}&batch={batch}"
    command = [sys.executable, "-m", "benchmarks.watchers", address, str(sockets)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("The sockets could not connect.")
        began = time.monotonic()
        turn = run(stack, batch, items)
        seconds = time.monotonic() - began
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LAST_FRAME_SECONDS)
        process.terminate()
        printed, _ = process.communicate()
    received = json.loads(printed)
    return Watched(
        turn,
        received["frames"] / seconds,
        received["bytes"] / seconds,
        received["completed"],
        received["cpu_seconds"] / seconds,
    )


def describe(pair: Pair) -> str:
    alone, with_sockets = pair.alone, pair.watched
    return (
        f"none {alone.per_second:,.0f}/s, watched {with_sockets.turn.per_second:,.0f}/s, ratio {pair.ratio:.2f},"
        f" {with_sockets.frames:,.0f} frames/s, web {alone.web_cpu:.0%} and {with_sockets.turn.web_cpu:.0%} of a core,"
        f" {with_sockets.completed} sockets saw the end"
    )


def report(pairs: Sequence[Pair], *, items: int, sockets: int, workers: int) -> str:
    """A Markdown table of the pairs and their medians."""
    lines = [
        f"### {sockets} sockets watching {items:,} photos, {workers} workers",
        "",
        "| pair | none, items/s | watched, items/s | ratio | frames/s | KB/s | web CPU | watched | clients | saw end |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number, pair in enumerate(pairs, 1):
        alone, seen = pair.alone, pair.watched
        rates = f"{alone.per_second:,.0f} | {seen.turn.per_second:,.0f} | {pair.ratio:.2f} | {seen.frames:,.0f}"
        cpu = f"{alone.web_cpu:.0%} | {seen.turn.web_cpu:.0%} | {seen.client_cpu:.0%}"
        lines.append(f"| {number} | {rates} | {seen.bytes / 1000:,.0f} | {cpu} | {seen.completed} |")
    ratio = statistics.median(pair.ratio for pair in pairs)
    alone_median = statistics.median(pair.alone.per_second for pair in pairs)
    watched_median = statistics.median(pair.watched.turn.per_second for pair in pairs)
    lines.append(f"| **median** | {alone_median:,.0f} | {watched_median:,.0f} | **{ratio:.2f}** | | | | | | |")
    return "\n".join(lines)
