"""Photos end to end, from the POST to the last result committed, in turn with the bare loop."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime

from benchmarks.stack import ROOT, Stack

IN_FLIGHT = 4_000


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn each, on the same sandbox: items a second."""

    engine: float
    bare: float
    accept_seconds: float

    @property
    def ratio(self) -> float:
        """Above 1: the durable engine was faster than the loop that keeps nothing."""
        return self.engine / self.bare


def measure(stack: Stack, *, items: int, pairs: int, latency_ms: int) -> list[Pair]:
    """So many interleaved pairs, after one small warm-up of both that is not counted."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    engine(stack, 1_000)
    bare(stack, 1_000)
    measured = []
    for number in range(pairs):
        accept, ours = engine(stack, items)
        measured.append(Pair(engine=ours, bare=bare(stack, items), accept_seconds=accept))
        print(f"  pair {number + 1}: {describe(measured[-1])}", flush=True)
    return measured


def engine(stack: Stack, items: int) -> tuple[float, float]:
    """Seconds until the 202, and items a second from the POST to the batch's completion (the database's clock)."""
    stack.sandbox("DELETE", "log")
    content = {"shootId": "benchmark", "images": images(items)}
    started = time.time()
    job = stack.call("POST", "/api/batch/process", content)["jobId"]
    accept = time.time() - started
    while True:
        status = stack.call("GET", f"/api/batch/status/{job}")
        if status.get("completedAt"):
            break
        time.sleep(0.2)
    if status["status"] != "completed" or status["processedImages"] != items:
        raise RuntimeError(f"The batch did not complete: {status}")
    ended = datetime.fromisoformat(status["completedAt"]).timestamp()
    return accept, items / (ended - started)


def images(number: int) -> list[dict[str, str]]:
    """So many photos known by URL."""
    return [image(place) for place in range(number)]


def image(number: int) -> dict[str, str]:
    """One of them, as a client names it."""
    return {"id": f"i{number}", "filename": f"{number}.jpg", "url": f"https://example.com/photos/{number}.jpg"}


def bare(stack: Stack, items: int) -> float:
    """Items a second of the bare loop."""
    stack.sandbox("DELETE", "log")
    url = f"http://127.0.0.1:{stack.sandbox_port}/openai-gpt-5/v1/chat/completions"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchsite.settings"}
    command = [sys.executable, "-m", "benchmarks.bare_loop", url, str(items), str(IN_FLIGHT)]
    printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    return items / float(printed)


def describe(pair: Pair) -> str:
    return (
        f"engine {pair.engine:,.0f}/s, bare loop {pair.bare:,.0f}/s, ratio {pair.ratio:.2f},"
        f" 202 after {pair.accept_seconds:.2f} s"
    )


def report(pairs: list[Pair], *, items: int, latency_ms: int, workers: int) -> str:
    """A Markdown table of the pairs and their medians."""
    lines = [
        f"### {items:,} photos, {latency_ms} ms latency, {workers} workers",
        "",
        "| pair | engine, items/s | bare loop, items/s | ratio | 202 after, s |",
        "|---|---|---|---|---|",
    ]
    for number, pair in enumerate(pairs, 1):
        lines.append(
            f"| {number} | {pair.engine:,.0f} | {pair.bare:,.0f} | {pair.ratio:.2f} | {pair.accept_seconds:.2f} |"
        )
    medians = [statistics.median(getattr(pair, name) for pair in pairs) for name in ("engine", "bare", "ratio")]
    accept = statistics.median(pair.accept_seconds for pair in pairs)
    lines.append(f"| **median** | {medians[0]:,.0f} | {medians[1]:,.0f} | **{medians[2]:.2f}** | {accept:.2f} |")
    return "\n".join(lines)


def allow_many_connections() -> None:
    """The bare loop holds thousands of sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
