"""``python -m tests.faults.soak --minutes 20 --seed 1``: load, faults, and at the end the accounts."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from benchmarks.photos import allow_many_connections
from benchmarks.stack import Stack, running_stack
from tests.faults.soak.chaos import Chaos
from tests.faults.soak.load import Load
from tests.faults.soak.memory import Memory
from tests.faults.soak.verdict import broken_promises, ended_themselves, wait_until_settled

LATENCY_MS = 500
FAULT_EVERY_SECONDS = 60.0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="python -m tests.faults.soak",
        description="Run a whole system under load with a random fault every minute; check what must hold at the end.",
    )
    options.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    options.add_argument("--seed", type=int, help="of the faults and the load (default: a random one, printed)")
    options.add_argument("--workers", type=int, default=2, help="worker processes (default: 2)")
    options.add_argument("--output", type=Path, help="write the report to this file as well")
    return options


def main() -> int:
    """0 when every promise was kept."""
    options = parser().parse_args()
    if options.seed is None:
        options.seed = random.randrange(10**6)
    allow_many_connections()
    say(f"{options.minutes:g} minutes, seed {options.seed}")
    with running_stack(options.workers) as stack:
        report, broken = soak(stack, options)
    say(f"\n{report}")
    if options.output:
        options.output.write_text(f"{report}\n")
    return 1 if broken else 0


def soak(stack: Stack, options: argparse.Namespace) -> tuple[str, list[str]]:
    """The report, and the promises that were broken."""
    stack.sandbox("PUT", "config", {"latency_ms": LATENCY_MS, "jitter_ms": 100})
    memory, load = Memory(stack.launcher_pid), Load(stack, options.seed)
    memory.start()
    load.start()
    try:
        faults = strike_until(stack, options)
    finally:
        load.stop()
    settled = wait_until_settled(stack.environment()["DATABASE_URL"])
    memory.over.set()
    memory.join()
    broken = broken_promises(stack, load.batches)
    if load.refused:
        broken.append(f"a submit was refused: {load.refused}")
    given_up = ended_themselves(stack.data / "logs")
    lines = [
        f"`{command(options)}`: {len(faults)} faults; {load.photos:,} photos and {load.messages:,} messages in"
        f" {len(load.batches)} batches; {load.repeated} submits were repeated, the slowest was answered after"
        f" {load.slowest_submit:.0f} s; all settled {settled:.0f} s after the last submit.",
        f"Promises broken: {'; '.join(broken) or 'none'}. Processes that ended themselves: {len(given_up)}.",
        *given_up,
        memory.report(),
        *(f"- minute {at / 60:.1f}: {what}" for at, what in faults),
    ]
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:]), broken


def strike_until(stack: Stack, options: argparse.Namespace) -> list[tuple[float, str]]:
    """A fault a minute; the last minute is quiet. Returns when they came and what they were."""
    chaos, began = Chaos(stack, options.seed), time.monotonic()
    faults: list[tuple[float, str]] = []
    ends = began + options.minutes * 60
    while (next_at := began + FAULT_EVERY_SECONDS * (len(faults) + 1)) < ends:
        time.sleep(max(0.0, next_at - time.monotonic()))
        at = time.monotonic() - began
        faults.append((at, chaos.strike()))
        say(f"{at / 60:5.1f} min  {faults[-1][1]}")
    time.sleep(max(0.0, ends - time.monotonic()))
    return faults


def say(text: str) -> None:
    """At once, also into a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def command(options: argparse.Namespace) -> str:
    """What reproduces it."""
    return f"python -m tests.faults.soak --minutes {options.minutes:g} --seed {options.seed}"


if __name__ == "__main__":
    sys.exit(main())
