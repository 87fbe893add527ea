"""One dispatcher works at a time: the holder of a session-wide advisory lock of Postgres."""

from __future__ import annotations

import time

from django.db import connection

LOCK_KEY = 0x62617463
"""Any constant of ours ("batc")."""


class Leadership:
    """Held as long as the connection lives; lost with it, whatever happened to this process."""

    def __init__(self) -> None:
        self._session: object | None = None
        self._since = 0.0

    def hold(self) -> bool:
        """Whether this process leads now; tries to when it does not."""
        session = connection.connection
        if session is not None and session is self._session:
            return True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
            if not cursor.fetchone()[0]:
                self._session = None
                return False
        self._session = connection.connection
        self._since = time.monotonic()
        return True

    @property
    def steady_seconds(self) -> float:
        """How long this process has led over one unbroken connection."""
        return time.monotonic() - self._since if self._session is not None else 0.0

    def lose(self) -> None:
        """The connection failed: drop it and the lock with it."""
        self._session = None
        connection.close()
