"""The storage seam: the one package that knows google-cloud-storage.

Everything that reads or writes a bucket goes through `Store`, so that preconditions, retries and the translation of
errors stand in one place.
"""

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.storage._pace import Pace, Pacer
from cloudseg_ops.storage._store import Store
from cloudseg_ops.storage._types import BATCH_SIZE, LINES_TYPE, PAGE_SIZE, Deletion

__all__ = ["BATCH_SIZE", "LINES_TYPE", "PAGE_SIZE", "Deletion", "ObjectInfo", "Pace", "Pacer", "Store"]
