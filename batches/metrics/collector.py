"""From one look at the ledger to Prometheus' families. Names are an interface: dashboards hold on to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from batches.metrics.ledger import COUNTED_AT_MOST, Ledger, Process, read_ledger
from batches.running.tally import BOUNDS_MS

PREFIX = "batchsite"
NO_PROVIDER = "none"
"""Of operations that call nobody."""


class LedgerCollector(Collector):
    """Reads the ledger at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """All families."""
        ledger = read_ledger()
        yield from _of_now(ledger)
        yield from _of_processes(ledger.processes)
        yield _outcomes(ledger.processes)
        yield _durations(ledger.processes)
        yield from _totals(ledger.processes)


def _of_now(ledger: Ledger) -> Iterator[Metric]:
    unfinished = _gauge("items_unfinished", "Items of running batches that are not final.", "lane")
    oldest = _gauge("oldest_due_seconds", "For how long the oldest due item of a lane has waited.", "lane")
    for lane in ledger.lanes:
        _add(unfinished, lane.unfinished, lane.name)
        _add(oldest, lane.oldest_seconds, lane.name)
    leased = _gauge("items_leased", "Items that workers hold, or that are on their way to one.", "lane")
    for name, number in ledger.leased.items():
        _add(leased, number, name)
    batches = _gauge("batches_open", "Batches that are not settled.", "status")
    for status, number in ledger.batches.items():
        _add(batches, number, status)
    closed = _gauge("provider_closed_seconds", "How much longer an account takes no calls.", "provider")
    for alias, seconds in ledger.closed_seconds.items():
        _add(closed, seconds, alias)
    yield from (unfinished, oldest, leased, batches, closed)
    yield from _open_ends(ledger)


def _open_ends(ledger: Ledger) -> Iterator[Metric]:
    """What waits for somebody: an account to be mended, a provider to answer, a person to look."""
    breakers = _gauge("provider_breaker_open", "1 while an account is sent nothing but probes.", "provider")
    for alias, is_open in ledger.breakers.items():
        _add(breakers, int(is_open), alias)
    at_providers = _gauge("provider_batches", "Batches of economy mode that are not done.", "provider", "step")
    for alias, step, number in ledger.provider_batches:
        _add(at_providers, number, alias, step)
    counted = f"counted to {COUNTED_AT_MOST}."
    backlog = _gauge("items_waiting", f"Items that wait for another try, or for a limit; {counted}")
    _add(backlog, ledger.backlog)
    unknown = _gauge("messages_unknown", f"Messages of which nobody knows whether they arrived; {counted}")
    _add(unknown, ledger.unknown)
    receipts = _gauge("receipts_waiting", f"Delivery receipts whose message was not found yet; {counted}")
    _add(receipts, ledger.receipts)
    yield from (breakers, at_providers, backlog, unknown, receipts)


def _of_processes(processes: list[Process]) -> Iterator[Metric]:
    up = _gauge("process_up", "Processes of the engine that were seen lately.", "process", "role")
    in_flight = _gauge("calls_in_flight", "Items that a worker runs.", "process")
    memory = _gauge("memory_megabytes", "Resident memory.", "process")
    unrecorded = _gauge("outcomes_unrecorded", "Outcomes that wait in memory for Postgres.", "process")
    for process in processes:
        _add(up, 1, process.boot_id, process.role)
        _add(in_flight, process.in_flight, process.boot_id)
        for family, name in ((memory, "memory_mb"), (unrecorded, "unrecorded")):
            if name in process.figures:
                _add(family, process.figures[name], process.boot_id)
    yield from (up, in_flight, memory, unrecorded)


def _outcomes(processes: list[Process]) -> Metric:
    labels = ["provider", "outcome", "category", "process"]
    family = CounterMetricFamily(
        f"{PREFIX}_outcomes", "What came of items, by outcome; category: of what went wrong.", labels=labels
    )
    for process in processes:
        for provider, outcome, category, number in process.figures.get("tally", {}).get("outcomes", []):
            family.add_metric([provider or NO_PROVIDER, outcome, category, process.boot_id], number)
    return family


def _durations(processes: list[Process]) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}_call_seconds", "How long calls took.", labels=["provider", "process"])
    ends = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
    for process in processes:
        tally = process.figures.get("tally", {})
        classes: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(ends))
        for provider, number, count in tally.get("durations", []):
            classes[provider][number] += count
        for provider, counts in classes.items():
            buckets = list(zip(ends, map(float, accumulate(counts)), strict=True))
            total = tally["duration_ms"].get(provider, 0) / 1000
            family.add_metric([provider or NO_PROVIDER, process.boot_id], buckets, sum_value=total)
    return family


def _totals(processes: list[Process]) -> Iterator[Metric]:
    waited = CounterMetricFamily(
        f"{PREFIX}_limit_wait_seconds", "How long items waited for limits.", labels=["provider", "process"]
    )
    queued = CounterMetricFamily(
        f"{PREFIX}_queue_wait_seconds", "How long items waited for their turn.", labels=["provider", "process"]
    )
    refused = CounterMetricFamily(
        f"{PREFIX}_opt_outs_refused",
        "Messages that were not sent because their recipient wants none.",
        labels=["provider", "process"],
    )
    groups = CounterMetricFamily(f"{PREFIX}_recorder_groups", "Group commits.", labels=["process"])
    items = CounterMetricFamily(f"{PREFIX}_recorder_items", "Outcomes in them.", labels=["process"])
    rescued = CounterMetricFamily(f"{PREFIX}_leases_rescued", "Leases whose worker was lost.", labels=["process"])
    for process in processes:
        tally = process.figures.get("tally", {})
        for family, name in ((waited, "waited_ms"), (queued, "queued_ms")):
            for provider, milliseconds in tally.get(name, {}).items():
                family.add_metric([provider or NO_PROVIDER, process.boot_id], milliseconds / 1000)
        for provider, number in tally.get("opted_out", {}).items():
            refused.add_metric([provider or NO_PROVIDER, process.boot_id], number)
        for family, name in ((groups, "groups"), (items, "items")):
            if name in tally:
                family.add_metric([process.boot_id], tally[name])
        if "rescued" in process.figures:
            rescued.add_metric([process.boot_id], process.figures["rescued"])
    yield from (waited, queued, refused, groups, items, rescued)


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=list(labels))


def _add(family: GaugeMetricFamily, value: float, *labels: str) -> None:
    family.add_metric(list(labels), value)
