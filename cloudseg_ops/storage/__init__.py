"""Access to Cloud Storage: the only package that uses google-cloud-storage.

All reads and writes go through `Store`, so that preconditions, retries and error translation are in one place.
"""

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.storage._pace import Pace, Pacer
from cloudseg_ops.storage._store import Store
from cloudseg_ops.storage._types import BATCH_SIZE, LINES_TYPE, PAGE_SIZE, REFUSALS, DeleteResult, Deletion

__all__ = [
    "BATCH_SIZE",
    "LINES_TYPE",
    "PAGE_SIZE",
    "REFUSALS",
    "DeleteResult",
    "Deletion",
    "ObjectInfo",
    "Pace",
    "Pacer",
    "Store",
]
