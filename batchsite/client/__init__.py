"""A Python client of the REST API, for programs that are not part of this project: it imports no Django.

>>> from batchsite.client import BatchClient
>>> client = BatchClient(api_key="...", base_url="http://127.0.0.1:8000")  # doctest: +SKIP
"""

from batchsite.client.batch_client import BatchClient
from batchsite.client.errors import (
    AuthenticationFailed,
    BatchClientError,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    OperationsInterrupted,
    PermissionDenied,
    RateLimited,
    ServerFailed,
    WaitTimedOut,
)
from batchsite.client.memory import OperationResult, OperationsResult
from batchsite.client.shapes import Batch, BatchOptions, StoredFile

__all__ = [
    "AuthenticationFailed",
    "Batch",
    "BatchClient",
    "BatchClientError",
    "BatchOptions",
    "Conflict",
    "ConnectionFailed",
    "InvalidRequest",
    "NotFound",
    "OperationResult",
    "OperationsInterrupted",
    "OperationsResult",
    "PermissionDenied",
    "RateLimited",
    "ServerFailed",
    "StoredFile",
    "WaitTimedOut",
]
