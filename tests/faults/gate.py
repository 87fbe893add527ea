"""A gate in the ledger: whoever reaches one point of it waits there, and can be killed exactly there.

A trigger of the test's takes an advisory lock that the test holds. No line of the engine knows of it, so the point
between any two of its statements can be reached as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

KEY = 0x67617465
"""Any constant of ours ("gate")."""

_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION fault_gate() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared({KEY}); RETURN NEW; END $$
"""
_WAITING = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"


@dataclass(frozen=True, slots=True)
class Point:
    """A change of a row, or a new one. ``at_commit``: the wait is in the COMMIT; else before the row is written."""

    table: str
    when: str
    at_commit: bool = False
    event: str = "UPDATE"


ACCEPT = Point("batches_lease", "OLD.worker = '' AND NEW.worker <> ''")
START = Point("batches_item", "OLD.started_at IS NULL AND NEW.started_at IS NOT NULL")
OUTCOME = Point("batches_item", "OLD.status = 'running' AND NEW.status = 'succeeded'")
COUNT = Point("batches_batch", "NEW.succeeded > OLD.succeeded")
COMMIT = Point("batches_item", "OLD.status = 'running' AND NEW.status = 'succeeded'", at_commit=True)
LOAD = Point("batches_item", "NEW.position = 2500", event="INSERT")
"""Within the COPY of a large batch's second chunk."""
LOADED = Point("batches_batch", "NEW.source_position > OLD.source_position", at_commit=True)
BATCH = Point("batches_batch", "true", event="INSERT")
"""A submit's files are stored, its batch is not."""
SUBMIT = Point("batches_auditentry", "NEW.action = 'submit'", event="INSERT")
"""A submit's items are copied, and nothing is committed."""
SUBMITTED = Point("batches_auditentry", "NEW.action = 'submit'", event="INSERT", at_commit=True)


class Gate:
    """Closed from the beginning of the ``with`` until :meth:`open` or its end."""

    def __init__(self, url: str, point: Point) -> None:
        self._url = url
        self._point = point

    def __enter__(self) -> Self:
        self._connection = psycopg.connect(self._url, autocommit=True, application_name="gate")
        self._connection.execute("SELECT pg_advisory_lock(%s)", [KEY])
        self._connection.execute(_FUNCTION.encode())
        point, kind, timing, deferral = self._point, "", "BEFORE", ""
        if point.at_commit:
            kind, timing, deferral = "CONSTRAINT", "AFTER", "DEFERRABLE INITIALLY DEFERRED"
        self._connection.execute(
            sql.SQL(
                "CREATE {} TRIGGER fault_gate {} {} ON {} {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION fault_gate()"
            ).format(*(sql.SQL(part) for part in (kind, timing, point.event, point.table, deferral, point.when)))
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.open()
        self._connection.execute(sql.SQL("DROP TRIGGER fault_gate ON {}").format(sql.Identifier(self._point.table)))
        self._connection.execute("DROP FUNCTION fault_gate()")
        self._connection.close()

    def waiting(self) -> list[int]:
        """The server processes that stand at the gate."""
        return [row[0] for row in self._connection.execute(_WAITING, [KEY]).fetchall()]

    def client_port(self) -> int:
        """The port from which one of them calls."""
        row = self._connection.execute(
            "SELECT client_port FROM pg_stat_activity WHERE pid = ANY(%s) LIMIT 1", [self.waiting()]
        ).fetchone()
        assert row is not None
        return int(row[0])

    def open(self) -> None:
        """Let everybody through: what waited goes on, also when nobody is left to hear of it."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def cut(self, seconds: float = 10.0) -> None:
        """End the sessions that wait; what they were about to do never happens."""
        deadline = time.monotonic() + seconds
        while self.waiting():
            assert time.monotonic() < deadline, "sessions at the gate did not end"
            self._connection.execute(_CUT, [KEY])
            time.sleep(0.05)
