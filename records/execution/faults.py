"""Faults of the database: which of them pass by themselves."""

from __future__ import annotations

from enum import Enum

import psycopg
from django.db import Error, InterfaceError, OperationalError
from psycopg import errors


class Fault(Enum):
    """What a database error means for the operation that met it."""

    TIME_IS_UP = "time is up"
    TRANSIENT = "transient"
    CONNECTION = "connection"
    VALUE = "value"


CONNECTION_EXCEPTION = "08"
PROGRAM_LIMIT_EXCEEDED = "54"
"""A text that the search index cannot hold, for one; it will be no shorter the next time."""
_TRANSIENT = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
_SHUTDOWN = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, errors.TooManyConnections)


def fault_of(error: Error) -> Fault:
    """Sort an error that Django raised; by its cause, since Django's own classes are coarser."""
    cause = error.__cause__
    if isinstance(cause, errors.QueryCanceled):
        return Fault.TIME_IS_UP
    if isinstance(cause, _TRANSIENT):
        return Fault.TRANSIENT
    if isinstance(error, InterfaceError) or isinstance(cause, _SHUTDOWN):
        return Fault.CONNECTION
    if isinstance(error, OperationalError):
        state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
        if state is None or state.startswith(CONNECTION_EXCEPTION):
            return Fault.CONNECTION
        return Fault.VALUE if state.startswith(PROGRAM_LIMIT_EXCEEDED) else Fault.TRANSIENT
    return Fault.VALUE
