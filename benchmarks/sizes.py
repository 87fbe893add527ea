"""What one photo costs in batches of a thousand to a million: wall time, CPU by kind of process, memory by process."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import requests

from benchmarks.chart import Line, line_chart
from benchmarks.photos import image, images
from benchmarks.processes import Growth, MemorySamples, cpu_seconds, spent_between
from benchmarks.stack import Stack

LARGEST_INLINE = 100_000
FEWEST_PHOTOS = 10_000
"""A small batch is repeated until so many were rated: two seconds of CPU say little."""
NOT_OURS = "sandbox"
NAMED_FROM = 0.03
"""Milliseconds per item from which a kind of process has a line in the chart."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One size. ``seconds``: from the POST to the batch's completion, per batch; ``accepted``: until its 202;
    ``cpu``: seconds by kind of process, all ``batches`` together."""

    items: int
    batches: int
    seconds: float
    accepted: float
    cpu: dict[str, float]
    memory: dict[str, Growth]

    def cpu_per_item(self, kind: str) -> float:
        """Milliseconds of CPU that one item cost this kind of process."""
        return self.cpu.get(kind, 0.0) / (self.items * self.batches) * 1000

    @property
    def total_per_item(self) -> float:
        """Milliseconds of CPU that one item cost, without the provider's."""
        return sum(self.cpu_per_item(kind) for kind in self.cpu if kind != NOT_OURS)

    @property
    def wall_per_item(self) -> float:
        """Milliseconds from the POST to the completion, divided by the items."""
        return self.seconds / self.items * 1000


def measure(stack: Stack, *, sizes: Sequence[int], latency_ms: int) -> list[Cost]:
    """One size after the other on the same system, after a warm-up that is not counted."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    run(stack, 5_000)
    costs = []
    for items in sizes:
        batches = max(1, FEWEST_PHOTOS // items)
        spent = cpu_seconds(stack.launcher_pid)
        with MemorySamples(stack.launcher_pid) as samples:
            turns = [run(stack, items) for _ in range(batches)]
        cpu = spent_between(spent, cpu_seconds(stack.launcher_pid))
        accepted, seconds = (sum(turn[place] for turn in turns) / batches for place in (0, 1))
        costs.append(Cost(items, batches, seconds, accepted, cpu, samples.growth()))
        print(f"  {describe(costs[-1])}", flush=True)
    return costs


def run(stack: Stack, items: int) -> tuple[float, float]:
    """One batch; seconds from its POST until the 202, and until its completion by the database's clock."""
    stack.sandbox("DELETE", "log")
    content = {"shootId": "size", **named_images(stack, items)}
    began = time.time()
    batch = stack.call("POST", "/api/batch/process", content)["jobId"]
    accepted = time.time() - began
    while not (status := stack.call("GET", f"/api/batch/status/{batch}")).get("completedAt"):
        time.sleep(0.2 if items <= LARGEST_INLINE else 2.0)
    if status["status"] != "completed" or status["processedImages"] != items:
        raise RuntimeError(f"The batch did not complete: {status}")
    return accepted, datetime.fromisoformat(status["completedAt"]).timestamp() - began


def named_images(stack: Stack, items: int) -> dict[str, object]:
    """The images in the body, or too many for one in an uploaded file of JSON lines."""
    if items <= LARGEST_INLINE:
        return {"images": images(items)}
    with tempfile.TemporaryFile() as file:
        for number in range(items):
            file.write(json.dumps(image(number)).encode() + b"\n")
        file.seek(0)
        return {"imagesFile": upload(stack, file)}


def upload(stack: Stack, file: IO[bytes]) -> str:
    """Store a file; its id."""
    answer = requests.post(
        f"http://127.0.0.1:{stack.port}/api/files",
        headers={"Authorization": f"Bearer {stack.key}"},
        files={"file": ("images.jsonl", file, "application/jsonl")},
        timeout=300,
    )
    answer.raise_for_status()
    identifier: str = answer.json()["fileId"]
    return identifier


def describe(cost: Cost) -> str:
    rate = cost.items / cost.seconds
    return f"{cost.items:,}: {cost.seconds:.1f} s, {rate:,.0f}/s, {cost.total_per_item:.3f} ms of CPU per item"


def kinds(costs: Sequence[Cost]) -> list[str]:
    """The kinds of process, the dearest first."""
    return sorted({kind for cost in costs for kind in cost.cpu}, key=lambda kind: -costs[-1].cpu_per_item(kind))


def report(costs: Sequence[Cost], *, latency_ms: int, workers: int) -> str:
    """Markdown tables: cost per item by size, peaks of memory by size, and the largest batch's memory over time."""
    names = kinds(costs)
    lines = [
        f"### Cost per item by size of the batch, {latency_ms} ms latency, {workers} workers",
        "",
        "Milliseconds of CPU per item by kind of process; the total is without the sandbox, which plays the provider.",
        "",
        f"| items | seconds | items/s | 202 after, s | total | {' | '.join(names)} |",
        f"|---|---|---|---|---|{'---|' * len(names)}",
    ]
    for cost in costs:
        spent = " | ".join(f"{cost.cpu_per_item(kind):.3f}" for kind in names)
        times = f"{cost.seconds:.1f} | {cost.items / cost.seconds:,.0f} | {cost.accepted:.2f}"
        lines.append(f"| {cost.items:,} | {times} | **{cost.total_per_item:.3f}** | {spent} |")
    return "\n".join([*lines, "", *_memory_table(costs)])


def _memory_table(costs: Sequence[Cost]) -> list[str]:
    largest = costs[-1]
    sizes = " | ".join(f"{cost.items:,}" for cost in costs)
    lines = [
        f"Memory in MB: each size's peak; of {largest.items:,} the first and last reading and the slope of the second"
        " half. Postgres without its shared buffers; the sandbox keeps a line per call as the witness.",
        "",
        f"| process | {sizes} | first | last | MB a minute |",
        f"|---|{'---|' * len(costs)}---|---|---|",
    ]
    for name, growth in largest.memory.items():
        peaks = " | ".join(f"{cost.memory[name].peak / 2**20:,.0f}" if name in cost.memory else "" for cost in costs)
        ends = f"{growth.first / 2**20:,.0f} | {growth.last / 2**20:,.0f}"
        lines.append(f"| {name} | {peaks} | {ends} | {growth.slope * 60 / 2**20:+.2f} |")
    return lines


def chart(costs: Sequence[Cost]) -> str:
    """Milliseconds per item over the size, as SVG."""
    lines: dict[str, Line] = {
        "wall time": [(cost.items, cost.wall_per_item) for cost in costs],
        "CPU, all": [(cost.items, cost.total_per_item) for cost in costs],
    }
    for kind in kinds(costs):
        if kind != NOT_OURS and max(cost.cpu_per_item(kind) for cost in costs) >= NAMED_FROM:
            lines[f"CPU, {kind}"] = [(cost.items, cost.cpu_per_item(kind)) for cost in costs]
    return line_chart(lines, title="Cost of one photo", x_name="photos in the batch", y_name="milliseconds per photo")
