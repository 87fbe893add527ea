"""Child processes that do not outlive the launcher, even when it is killed with -9."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child between fork and exec must not import or allocate much.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: IO[bytes] | int | None = None,
    folder: Path | None = None,
    user: int | None = None,
    own_group: bool = True,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start one process. It gets ``death_signal`` when this one dies; that needs a start from the main thread.

    In a group of its own, a Ctrl-C on the terminal does not reach it and the supervisor can stop it in order.
    """
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL if own_group else None,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        cwd=folder,
        start_new_session=own_group,
        preexec_fn=die_with(os.getpid(), death_signal),  # noqa: PLW1509  the launcher has one thread
        user=user,
        group=None if user is None else group_of(user),
        extra_groups=None if user is None else [],
    )


def group_of(user: int) -> int:
    import pwd

    return pwd.getpwuid(user).pw_gid


def die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    number = int(death_signal)

    def ask_kernel() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # it died between fork and prctl

    return ask_kernel


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Reaches the process and whatever it started."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return
