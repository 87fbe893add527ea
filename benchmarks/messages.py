"""The SMS priorities' rates with several workers, by the sandbox's clock: each alone, then all at once.

With faults, a worker is stopped for a second every few seconds and Redis is emptied every twenty, all the while.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import redis

from benchmarks.processes import members
from benchmarks.stack import Stack

RATES = {"high": 8.0, "normal": 5.0, "low": 2.0}
FASTEST, SLOWEST = 1.005, 0.95
"""What the measured rate may be, as a share of the limit."""

STOP_SECONDS = 1.0
STOP_EVERY_SECONDS = (3.0, 6.0)
FLUSH_EVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What one lane did: messages a second over the whole span, and its fullest sliding second.

    ``wanted``: recipients; ``messages``: calls that the sandbox saw; ``twice``: recipients whose message it accepted
    more than once.
    """

    lane: str
    limit: float
    wanted: int
    messages: int
    twice: int
    per_second: float
    busiest_second: int

    @property
    def holds(self) -> bool:
        """Within +0.5/-5 % of the limit, no sliding second above limit + 1, nothing lost and nothing sent twice."""
        near = SLOWEST * self.limit <= self.per_second <= FASTEST * self.limit
        return near and self.busiest_second <= self.limit + 1 and self.messages == self.wanted and not self.twice


def measure(stack: Stack, *, seconds: float, latency_ms: int, faults: bool) -> list[Rate]:
    """Run each priority alone for a while, then the three together."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    rates = []
    for group in [[name] for name in RATES] + [list(RATES)]:
        stack.sandbox("DELETE", "log")
        prefixes = {name: f"+1{area}456" for name, area in zip(RATES, (202, 212, 303), strict=True)}
        with injected_faults(stack) if faults else contextlib.nullcontext():
            batches = [submit(stack, name, prefixes[name], int(RATES[name] * seconds)) for name in group]
            wait_until_over(stack, batches)
        log = stack.sandbox("GET", "log")
        for name in group:
            entries = [entry for entry in log if (entry["to"] or "").startswith(prefixes[name])]
            accepted = Counter(entry["to"] for entry in entries if entry["accepted"])
            label = f"{name} alone" if len(group) == 1 else f"{name}, all together"
            instants = sorted(entry["at"] for entry in entries)
            twice = sum(1 for number in accepted.values() if number > 1)
            rates.append(rate(label, RATES[name], instants, wanted=int(RATES[name] * seconds), twice=twice))
            print(f"  {describe(rates[-1])}", flush=True)
    return rates


def submit(stack: Stack, priority: str, prefix: str, number: int) -> str:
    recipients = [{"phoneNumber": f"{prefix}{n:04d}", "variables": {"name": f"N{n}"}} for n in range(number)]
    content = {"text": "Hello {{name}}", "recipients": recipients, "options": {"priority": priority}}
    identifier: str = stack.call("POST", "/api/batch", content)["batchId"]
    return identifier


def wait_until_over(stack: Stack, batches: list[str]) -> None:
    while any(stack.call("GET", f"/api/batch/{batch}")["status"] not in {"completed", "failed"} for batch in batches):
        time.sleep(0.5)


@contextlib.contextmanager
def injected_faults(stack: Stack) -> Iterator[None]:
    """Stop random workers for a second at a time and empty Redis now and then, as long as the block runs."""
    over = threading.Event()
    threads = [threading.Thread(target=fault, args=(stack, over)) for fault in (stop_workers, empty_redis)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def stop_workers(stack: Stack, over: threading.Event) -> None:
    while not over.wait(random.uniform(*STOP_EVERY_SECONDS)):
        workers = [member.process.pid for member in members(stack.launcher_pid) if member.kind == "worker"]
        worker = random.choice(workers)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(STOP_SECONDS)
        os.kill(worker, signal.SIGCONT)


def empty_redis(stack: Stack, over: threading.Event) -> None:
    with redis.Redis.from_url(stack.environment()["REDIS_URL"]) as client:
        while not over.wait(FLUSH_EVERY_SECONDS):
            client.flushall()


def rate(lane: str, limit: float, instants: list[float], *, wanted: int, twice: int = 0) -> Rate:
    """The lane's figures from the instants at which its calls arrived, in order."""
    per_second = (len(instants) - 1) / (instants[-1] - instants[0])
    return Rate(lane, limit, wanted, len(instants), twice, per_second, busiest_second(instants))


def busiest_second(instants: list[float]) -> int:
    """Most calls within any sliding second, its end left out; ``instants`` in order."""
    return max(bisect.bisect_left(instants, start + 1.0) - index for index, start in enumerate(instants))


def describe(rate: Rate) -> str:
    return (
        f"{rate.lane}: {rate.per_second:.3f}/s, busiest second {rate.busiest_second},"
        f" {rate.messages} calls for {rate.wanted} recipients, {rate.twice} sent twice"
    )


def report(rates: list[Rate], *, workers: int, seconds: float, faults: bool) -> str:
    """A Markdown table."""
    disturbed = f", a worker stopped for {STOP_SECONDS:g} s every {STOP_EVERY_SECONDS[0]:g} to"
    disturbed += f" {STOP_EVERY_SECONDS[1]:g} s, FLUSHALL every {FLUSH_EVERY_SECONDS:g} s"
    lines = [
        f"### SMS rates, {workers} workers, {seconds:g} s per lane{disturbed if faults else ''}",
        "",
        "| lane | limit, /s | recipients | calls | sent twice | measured, /s | off by | busiest second | holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in rates:
        off = f"{(each.per_second / each.limit - 1) * 100:+.2f} %"
        counted = f"{each.wanted} | {each.messages} | {each.twice} | {each.per_second:.3f} | {off}"
        judged = f"{each.busiest_second} | {'yes' if each.holds else '**no**'}"
        lines.append(f"| {each.lane} | {each.limit:g} | {counted} | {judged} |")
    return "\n".join(lines)
