"""The ledger: every fact that must survive any process is a row of one of these."""

from batches.models.access import ApiKey, AuditEntry, IdempotentReply, StoredFile
from batches.models.account import Notification, Usage
from batches.models.batch import Batch
from batches.models.credential import ProviderCredential
from batches.models.engine import BatchHistogram, Lease, ProviderAccount, Worker, WorkerRole
from batches.models.item import Item, ItemError
from batches.models.messages import Contact, DeliveryReceipt, OptOut
from batches.models.provider_batch import ProviderBatch

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Batch",
    "BatchHistogram",
    "Contact",
    "DeliveryReceipt",
    "IdempotentReply",
    "Item",
    "ItemError",
    "Lease",
    "Notification",
    "OptOut",
    "ProviderAccount",
    "ProviderBatch",
    "ProviderCredential",
    "StoredFile",
    "Usage",
    "Worker",
    "WorkerRole",
]
