"""Keeps the processes of the Procfile running, and stops them in an order that loses nothing."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchsite.launcher import children

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# A process that ran this long had started well: the next restart is quick again.
STEADY_SECONDS = 30.0
# Workers finish the calls in flight. Their provider, the sandbox, has to stay until they are done.
GRACE_SECONDS = {"worker": 40.0}
OTHER_GRACE_SECONDS = 10.0
LAST = frozenset({"sandbox"})


@dataclass(kw_only=True)
class Process:
    """One line of the Procfile, running or about to be started again."""

    name: str
    kind: str
    command: str
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    pause: float = FIRST_PAUSE
    last_pause: float = 0.0
    deaths: int = 0

    def start(self, folder: Path, now: float) -> None:
        with self.log.open("ab") as log:
            # bash expands ${VAR:-default}; exec leaves the program itself as the process that gets the signals.
            self.running = children.start(
                ["bash", "-c", f"exec {self.command}"], environment=self.environment, output=log, folder=folder
            )
        self.started_at = now

    def note_death(self, now: float) -> None:
        if now - self.started_at > STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        self.running = None
        self.deaths += 1
        self.due_at = now + self.pause
        self.last_pause = self.pause
        self.pause = min(LONGEST_PAUSE, self.pause * 2)


class Supervisor:
    """``start`` once, ``tick`` often, ``stop`` at the end. ``notify`` gets a line when a process dies."""

    def __init__(
        self,
        commands: Mapping[str, str],
        *,
        folder: Path,
        logs: Path,
        environment: Mapping[str, str],
        copies: Mapping[str, int] | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder = folder
        self.notify = notify
        self.processes = [
            Process(
                name=name,
                kind=kind,
                command=command,
                environment={**environment, "PROCESS_NAME": name, "INDEX": str(index)},
                log=logs / f"{name}.log",
            )
            for kind, command in commands.items()
            for index, name in numbered(kind, (copies or {}).get(kind, 1))
        ]

    def start(self) -> None:
        now = time.monotonic()
        for process in self.processes:
            process.start(self.folder, now)

    def tick(self) -> None:
        """Notice who died, start again who is due."""
        now = time.monotonic()
        for process in self.processes:
            if process.running is None:
                if now >= process.due_at:
                    process.start(self.folder, now)
            elif process.running.poll() is not None:
                self._bury(process, process.running, now)

    def _bury(self, process: Process, dead: subprocess.Popen[bytes], now: float) -> None:
        children.signal_group(dead, signal.SIGKILL)  # what it started is nobody's now
        process.note_death(now)
        wait = process.last_pause
        # The first of a series, and a series that does not end: what lies between is noise.
        if wait in {FIRST_PAUSE, LONGEST_PAUSE}:
            how = ending(dead.returncode)
            self.notify(f"{process.name} {how}; starting it again in {wait:g} s. Log: {process.log}")

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> list[str]:
        """SIGTERM, wait, SIGKILL whoever is left; ``hurry`` cuts the waiting short. Returns the names of the killed."""
        early = [process for process in self.processes if process.kind not in LAST]
        late = [process for process in self.processes if process.kind in LAST]
        return [*stop_together(early, hurry), *stop_together(late, hurry)]


def numbered(kind: str, copies: int) -> list[tuple[int, str]]:
    return [(index, kind if copies == 1 else f"{kind}-{index}") for index in range(1, copies + 1)]


def stop_together(processes: Sequence[Process], hurry: Callable[[], bool]) -> list[str]:
    started = time.monotonic()
    for process in processes:
        if process.running is not None and process.running.poll() is None:
            process.running.terminate()  # the process alone: it knows how to stop what it started
    killed = []
    for process in sorted(processes, key=grace):
        if not finished(process, started + grace(process), hurry):
            killed.append(process.name)
        if process.running is not None:
            children.signal_group(process.running, signal.SIGKILL)
            process.running.wait()
            process.running = None
    return killed


def grace(process: Process) -> float:
    return GRACE_SECONDS.get(process.kind, OTHER_GRACE_SECONDS)


def finished(process: Process, deadline: float, hurry: Callable[[], bool]) -> bool:
    while process.running is not None and process.running.poll() is None:
        if hurry() or time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
