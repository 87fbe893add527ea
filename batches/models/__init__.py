"""The ledger: every fact that must survive any process is a row of one of these."""

from batches.models.access import ApiKey, AuditEntry, IdempotentReply, StoredFile
from batches.models.account import Notification, Usage
from batches.models.batch import Batch
from batches.models.engine import BatchHistogram, Lease, ProviderAccount, Worker, WorkerRole
from batches.models.item import Item, ItemError

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Batch",
    "BatchHistogram",
    "IdempotentReply",
    "Item",
    "ItemError",
    "Lease",
    "Notification",
    "ProviderAccount",
    "StoredFile",
    "Usage",
    "Worker",
    "WorkerRole",
]
