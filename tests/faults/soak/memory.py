"""What each process of the system holds over time, per boot, and how fast it grows."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, field

import psutil

from benchmarks.processes import members

SAMPLE_SECONDS = 5.0
WARM_SECONDS = 90.0
LEAST_SECONDS = 180.0
MIB = 2**20


@dataclass
class Boot:
    """One life of one process: seconds since the soak began, MiB of its own (not shared), open files."""

    name: str
    at: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From its first to its last sample."""
        return self.at[-1] - self.at[0]

    def slope(self) -> float | None:
        """MiB an hour by least squares, once it is warm; None when it did not live long enough to tell."""
        warm = [(at, size) for at, size in zip(self.at, self.memory, strict=True) if at >= self.at[0] + WARM_SECONDS]
        if not warm or warm[-1][0] - warm[0][0] < LEAST_SECONDS:
            return None
        return statistics.linear_regression([at / 3600 for at, _ in warm], [size for _, size in warm]).slope


class Memory(threading.Thread):
    """Samples every five seconds until it is told that it is over."""

    def __init__(self, launcher_pid: int) -> None:
        super().__init__(name="memory", daemon=True)
        self.boots: dict[tuple[str, int], Boot] = {}
        self.over = threading.Event()
        self._launcher_pid = launcher_pid
        self._began = time.monotonic()

    def run(self) -> None:
        while not self.over.wait(SAMPLE_SECONDS):
            for member in members(self._launcher_pid):
                try:
                    memory = sum(process.memory_full_info().uss for process in member.family())
                    files = member.process.num_fds()
                except psutil.Error:
                    continue
                boot = self.boots.setdefault((member.name, member.process.pid), Boot(member.name))
                boot.at.append(time.monotonic() - self._began)
                boot.memory.append(memory / MIB)
                boot.files.append(files)

    def report(self) -> str:
        """A table, one line for each boot that lived long enough to tell its slope."""
        lines = [
            "| process | from minute | lived, min | MiB first, last, most | MiB an hour | open files, most |",
            "|---|---|---|---|---|---|",
        ]
        for boot in sorted(self.boots.values(), key=lambda boot: (boot.name, boot.at[0])):
            slope = boot.slope()
            if slope is None:
                continue
            warm = next(size for at, size in zip(boot.at, boot.memory, strict=True) if at >= boot.at[0] + WARM_SECONDS)
            lines.append(
                f"| {boot.name} | {boot.at[0] / 60:.0f} | {boot.seconds / 60:.1f}"
                f" | {warm:.0f}, {boot.memory[-1]:.0f}, {max(boot.memory):.0f} | {slope:+.1f} | {max(boot.files)} |"
            )
        return "\n".join(lines)
