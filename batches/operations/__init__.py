"""What batches do: a class per operation, registered by a settings entry."""

from batches.operations.base import (
    Attempt,
    CannotFinish,
    Operation,
    UnknownOperation,
    get_operation,
    operation_names,
)

__all__ = ["Attempt", "CannotFinish", "Operation", "UnknownOperation", "get_operation", "operation_names"]
