"""One dispatcher works at a time: the holder of a session-wide advisory lock of Postgres."""

from __future__ import annotations

import time

from django.db import connection

LOCK_KEY = 0x62617463
"""Any constant of ours ("batc")."""
STANDSTILL_SECONDS = 10.0
"""Between two rounds so much time never passes by itself: this process, the database or the machine stood still."""

_LEAD = "SELECT pg_try_advisory_lock(%s)"
_NOTICE_MY_END = """
    SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '5', false),
           set_config('tcp_keepalives_count', '3', false)
"""
"""The server asks whether this machine is still there; else the lock of one that lost its power is kept for hours."""


SILENT_SECONDS = 30
"""A leader that lives does not fall silent for so long; one that is frozen keeps its session, and the lock with it."""

_DEPOSE = f"""
    SELECT pg_terminate_backend(pid) FROM pg_locks
     WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND NOT EXISTS (SELECT 1 FROM batches_worker WHERE role = 'dispatcher' AND capacity ? 'leader'
                          AND seen_at > now() - interval '{SILENT_SECONDS} seconds')
"""


class Leadership:
    """Held as long as the connection lives; lost with it, whatever happened to this process."""

    def __init__(self) -> None:
        self._session: object | None = None
        self._since = 0.0
        self._looked_at = (0.0, 0.0)

    def hold(self) -> bool:
        """Whether this process leads now; tries to when it does not."""
        self._notice_standstill()
        session = connection.connection
        if session is not None and session is self._session:
            return True
        with connection.cursor() as cursor:
            cursor.execute(_LEAD, [LOCK_KEY])
            if not cursor.fetchone()[0]:
                self._session = None
                return False
            cursor.execute(_NOTICE_MY_END)
        self._session = connection.connection
        self._since = time.monotonic()
        return True

    def depose_silent(self) -> bool:
        """End the session of a leader that holds the lock and has said nothing for half a minute."""
        with connection.cursor() as cursor:
            cursor.execute(_DEPOSE, [LOCK_KEY])
            return cursor.fetchone() is not None

    @property
    def is_held(self) -> bool:
        """Whether this process led when it last asked."""
        return self._session is not None

    @property
    def steady_seconds(self) -> float:
        """How long this process has led over one unbroken connection, without a standstill."""
        return time.monotonic() - self._since if self._session is not None else 0.0

    def lose(self) -> None:
        """The connection failed: drop it and the lock with it.

        It is ended, not handed back: the pool would keep the session open, and an open session keeps its locks.
        """
        self._session = None
        if connection.connection is not None:
            connection.connection.close()
        connection.close()

    def _notice_standstill(self) -> None:
        """A database that was frozen breaks no connection, yet no worker could renew; a clock may also have jumped."""
        monotonic, wall = time.monotonic(), time.time()
        if max(monotonic - self._looked_at[0], wall - self._looked_at[1]) > STANDSTILL_SECONDS:
            self._since = monotonic
        self._looked_at = monotonic, wall
