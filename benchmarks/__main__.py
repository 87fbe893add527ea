"""``bin/bench``: starts whole systems, measures, prints tables for RESULTS.md."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")

from benchmarks import (
    adaptive,
    claim,
    data,
    messages,
    naive,
    photos,
    records,
    records_operations,
    sizes,
    sockets,
    waiting,
)
from benchmarks.stack import ROOT, Stack, running_stack

USUAL = ("photos", "sms")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="bin/bench",
        description="Measure photos end to end beside a bare asyncio loop, the SMS rates, and what large batches cost."
        " Ratios of one run count; absolute figures say as much about the machine.",
    )
    options.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"what to measure, of: {', '.join(PARTS)} (default: {' '.join(USUAL)})",
    )
    options.add_argument("--items", type=int, default=10_000, help="photos per turn (default: 10000)")
    options.add_argument("--pairs", type=int, default=5, help="interleaved pairs (default: 5)")
    options.add_argument("--latency-ms", type=int, default=1_000, help="the sandbox's latency for photos")
    options.add_argument("--workers", type=int, default=2, help="worker processes for the photos (default: 2)")
    options.add_argument("--sms-workers", type=int, default=3, help="worker processes for the SMS (default: 3)")
    options.add_argument("--sms-seconds", type=float, default=60.0, help="seconds per lane; 0: leave the SMS out")
    options.add_argument(
        "--sms-faults", action="store_true", help="stop a worker for a second now and then, and empty Redis"
    )
    options.add_argument("--naive-items", type=int, default=2_000, help="photos for naive Celery; 0: leave it out")
    options.add_argument("--claim-items", type=int, default=1_000_000, help="pending items (default: 1000000)")
    options.add_argument("--waiting-items", type=int, default=100_000, help="items in retry (default: 100000)")
    options.add_argument(
        "--sizes",
        type=lambda text: [int(size) for size in text.split(",")],
        default=[1_000, 10_000, 100_000, 1_000_000],
        help="items of the batches, with commas between (default: 1000,10000,100000,1000000)",
    )
    options.add_argument(
        "--chart", type=Path, default=ROOT / "benchmarks" / "cost_per_item.svg", help="where the chart of sizes goes"
    )
    options.add_argument("--adaptive-items", type=int, default=20_000, help="photos through a limit (default: 20000)")
    options.add_argument("--adaptive-limit", type=float, default=3_000.0, help="requests a minute (default: 3000)")
    options.add_argument("--records", type=int, default=100_000, help="records to search among (default: 100000)")
    options.add_argument("--sockets", type=int, default=500, help="WebSockets that watch (default: 500)")
    options.add_argument("--output", type=Path, help="write the tables to this file as well")
    return options


def main() -> int:
    """Run what was asked for."""
    options = parser().parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser().error(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    photos.allow_many_connections()
    tables = [heading()]
    for part in options.parts or USUAL:
        tables += PARTS[part](options)
    text = "\n\n".join(tables)
    print(f"\n{text}")
    if options.output:
        options.output.write_text(text + "\n")
    return 0


def measure_photos(options: argparse.Namespace) -> list[str]:
    """The engine beside the bare loop, and naive Celery beside both."""
    if not options.pairs:
        return []
    print(f"Photos: {options.pairs} pairs of {options.items:,}", flush=True)
    with running_stack(options.workers) as stack:
        pairs = photos.measure(stack, items=options.items, pairs=options.pairs, latency_ms=options.latency_ms)
        peer = measure_naive(stack, options)
    tables = [photos.report(pairs, items=options.items, latency_ms=options.latency_ms, workers=options.workers)]
    if peer:
        engine = statistics.median(pair.engine for pair in pairs)
        tables.append(naive.report(peer, engine, items=options.naive_items))
    return tables


def measure_naive(stack: Stack, options: argparse.Namespace) -> float:
    """Items a second of naive Celery in the same run; 0 when it was left out."""
    if not options.naive_items:
        return 0.0
    print(f"Naive Celery: {options.naive_items:,} photos", flush=True)
    rate = naive.measure(stack, items=options.naive_items, latency_ms=options.latency_ms)
    print(f"  {rate:,.0f}/s", flush=True)
    return rate


def measure_messages(options: argparse.Namespace) -> list[str]:
    """The SMS rates."""
    seconds, faults = options.sms_seconds, options.sms_faults
    if not seconds:
        return []
    print(f"SMS: {seconds:g} s per lane{', with faults' if faults else ''}", flush=True)
    with running_stack(options.sms_workers) as stack:
        rates = messages.measure(stack, seconds=seconds, latency_ms=200, faults=faults)
    return [messages.report(rates, workers=options.sms_workers, seconds=seconds, faults=faults)]


def measure_claims(options: argparse.Namespace) -> list[str]:
    """The dispatcher's claim on a full ledger."""
    items, finished = options.claim_items, options.claim_items // 5
    print(f"Claims among {items:,} pending items", flush=True)
    measured = claim.measure(items=items, finished=finished)
    for each in measured:
        print(f"  {claim.describe(each)}", flush=True)
    return [claim.report(measured, items=items, finished=finished)]


def measure_sockets(options: argparse.Namespace) -> list[str]:
    """A batch that hundreds watch, beside one that nobody watches."""
    print(f"Sockets: {options.pairs} pairs of {options.items:,} photos, {options.sockets} sockets", flush=True)
    size = {"items": options.items, "sockets": options.sockets}
    with running_stack(options.workers) as stack:
        pairs = sockets.measure(stack, pairs=options.pairs, latency_ms=options.latency_ms, **size)
    return [sockets.report(pairs, workers=options.workers, **size)]


def measure_waiting(options: argparse.Namespace) -> list[str]:
    """Items that wait for a retry, and an urgent one beside them."""
    items = options.waiting_items
    print(f"Waiting: {items:,} items", flush=True)
    with running_stack(options.workers) as stack:
        return [waiting.report(waiting.measure(stack, items=items), items=items)]


def measure_sizes(options: argparse.Namespace) -> list[str]:
    """The cost of an item in small and large batches."""
    wanted = sorted(options.sizes)
    print(f"Sizes: {', '.join(f'{size:,}' for size in wanted)} photos", flush=True)
    with running_stack(options.workers) as stack:
        costs = sizes.measure(stack, sizes=wanted, latency_ms=options.latency_ms)
    options.chart.write_text(sizes.chart(costs))
    return [sizes.report(costs, latency_ms=options.latency_ms, workers=options.workers)]


def measure_records(options: argparse.Namespace) -> list[str]:
    """Document 003's batch, and the search."""
    print(f"Records: {options.records:,}", flush=True)
    return [records.report(records.measure(options.records))]


def measure_data(options: argparse.Namespace) -> list[str]:
    """Files in, files out."""
    print(f"Data: {options.records:,} records", flush=True)
    return [data.report(data.measure(options.records))]


def measure_adaptive(options: argparse.Namespace) -> list[str]:
    """A limit that nobody configured, halved and restored on the way."""
    items, limit = options.adaptive_items, options.adaptive_limit
    print(f"Adaptive: {items:,} photos, {limit:,.0f} requests a minute", flush=True)
    with running_stack(options.workers) as stack:
        measured = adaptive.measure(stack, items=items, per_minute=limit, latency_ms=options.latency_ms)
    return [adaptive.report(measured, items=items, per_minute=limit, workers=options.workers)]


PARTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "photos": measure_photos,
    "sms": measure_messages,
    "claim": measure_claims,
    "waiting": measure_waiting,
    "adaptive": measure_adaptive,
    "sockets": measure_sockets,
    "sizes": measure_sizes,
    "records": measure_records,
    "records-operations": lambda options: [records_operations.report(records_operations.measure(options.records))],
    "data": measure_data,
}


def heading() -> str:
    """When, where and how."""
    command = shlex.join(["bin/bench", *sys.argv[1:]])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"
    return f"## {date.today().isoformat()}: `{command}`\n\n{machine}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
