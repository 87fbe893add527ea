"""What the processes of a running system cost: CPU by kind, memory by process, read from the kernel."""

from __future__ import annotations

import re
import statistics
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 1.0
_KINDS = {
    "web": re.compile(r"uvicorn\b.*batchsite\.asgi"),
    "worker": re.compile(r"celery\b.* worker\b"),
    "dispatcher": re.compile(r"manage\.py dispatcher"),
    "beat": re.compile(r"celery\b.* beat\b"),
    "flower": re.compile(r"celery\b.* flower\b"),
    "sandbox": re.compile(r"providers\.sandbox"),
    "postgres": re.compile(r"\bpostgres\b"),
    "redis": re.compile(r"\b(?:redis|valkey)-server|fake_redis"),
}
_WORKER_NUMBER = re.compile(r"--hostname worker-(\d+)")


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the system with everything it started. ``name`` tells workers apart: ``worker-2``."""

    kind: str
    name: str
    process: psutil.Process

    def family(self) -> list[psutil.Process]:
        """Itself and what it started; Postgres has a process for each connection."""
        return [self.process, *self.process.children(recursive=True)]


def members(launcher_pid: int) -> list[Member]:
    """The processes that ``bin/up`` started, by kind; what it runs for a moment is left out."""
    found = []
    for process in psutil.Process(launcher_pid).children():
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        kind = kind_of(command)
        if kind is not None:
            number = _WORKER_NUMBER.search(command)
            found.append(Member(kind, f"{kind}-{number.group(1)}" if number else kind, process))
    return found


def kind_of(command: str) -> str | None:
    """Which part of the system a command line is."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(command)), None)


def cpu_seconds(launcher_pid: int) -> dict[str, float]:
    """CPU used so far by each kind of process, those that have ended since included."""
    spent: defaultdict[str, float] = defaultdict(float)
    for member in members(launcher_pid):
        for process in member.family():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # its parent has its times from now on
            spent[member.kind] += times.user + times.system + times.children_user + times.children_system
    return dict(spent)


def memory_bytes(system: Iterable[Member]) -> dict[str, int]:
    """Resident memory of each process by name, those that have ended left out.

    Of Postgres what its processes have for themselves: the shared buffers fill up to their fixed size, and would be
    counted once for each connection.
    """
    used: dict[str, int] = {}
    for member in system:
        try:
            if member.kind == "postgres":
                family = [process.memory_info() for process in member.family()]
                used[member.name] = sum(info.rss - info.shared for info in family)
            else:
                used[member.name] = member.process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return used


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each kind between two readings."""
    return {kind: seconds - before.get(kind, 0.0) for kind, seconds in after.items()}


@dataclass(frozen=True, slots=True)
class Growth:
    """A process's memory over a measurement, in bytes. ``slope`` is bytes a second over its second half."""

    first: int
    peak: int
    last: int
    slope: float


class MemorySamples:
    """Reads the memory of every process each second, in a thread, while a block runs."""

    def __init__(self, launcher_pid: int) -> None:
        self._members = members(launcher_pid)
        self._readings: defaultdict[str, list[int]] = defaultdict(list)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join()

    def growth(self) -> dict[str, Growth]:
        """What became of each process's memory."""
        return {name: growth_of(readings) for name, readings in sorted(self._readings.items())}

    def _run(self) -> None:
        while True:
            for name, used in memory_bytes(self._members).items():
                self._readings[name].append(used)
            if self._stopping.wait(SAMPLE_SECONDS):
                return


def growth_of(readings: Sequence[int]) -> Growth:
    """The figures of one process's readings, one a second."""
    late = readings[len(readings) // 2 :]
    return Growth(readings[0], max(readings), readings[-1], slope(late) / SAMPLE_SECONDS)


def slope(values: Sequence[float]) -> float:
    """Least squares: growth from one value to the next; 0 where two values are missing."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(range(len(values)), values).slope
