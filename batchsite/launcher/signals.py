"""Being asked to stop: once politely, twice at once."""

from __future__ import annotations

import signal


class Stopped(Exception):
    """Somebody asked us to stop."""


class Signals:
    """The first signal asks, the second one insists."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.receive)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means: stay
            signal.signal(signal.SIGHUP, self.receive)

    def receive(self, number: int, frame: object) -> None:
        self.count += 1

    @property
    def insisted(self) -> bool:
        return self.count > 1

    def check(self) -> None:
        if self.count:
            raise Stopped
