"""How long something may take: checked between statements, and told to Postgres for each of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction


class TimeIsUp(Exception):
    """Nothing more is begun."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a transaction knows of itself: its instant, and its number, by which to ask later what became of it."""

    now: datetime
    number: str


class TimeLimit:
    """A span of time that began when this was made."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; negative once it is over."""
        return self._end - time.monotonic()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Beginning]:
        """A transaction (within another one a savepoint) whose statements Postgres ends when the time is over.

        One that is not durable does not wait for the disk: a crash of Postgres within a second may undo it.
        """
        milliseconds = int(self.left * 1000)
        if milliseconds < 1:
            raise TimeIsUp
        within_another = connection.in_atomic_block
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT now(), pg_current_xact_id()::text, set_config('statement_timeout', %s, true), "
                "set_config('synchronous_commit', coalesce(%s, current_setting('synchronous_commit')), true)",
                [str(milliseconds), None if durable or within_another else "off"],
            )
            now, number, _, _ = cursor.fetchone()
            yield Beginning(now, number)
            if within_another:  # what it does afterwards is not ours to hurry
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
