"""What Cloud Storage says about objects, and the outcomes of deletes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cloudseg_ops.contracts.objects import ObjectInfo

if TYPE_CHECKING:
    from google.cloud.storage import Blob

PAGE_SIZE = 1000  # the most that one page of a listing holds: cloud.google.com/storage/docs/json_api/v1/objects/list
BATCH_SIZE = 100  # the most calls of one batch request: cloud.google.com/storage/docs/batch
LINES_TYPE = "application/jsonl"


class Deletion(StrEnum):
    """The outcome of one delete."""

    DELETED = "deleted"
    GONE = "gone"
    """It was not there (any more)."""
    CHANGED = "changed"
    """Another generation has the name; nothing was deleted."""


def info_of(blob: Blob) -> ObjectInfo:
    """Describe an object as the client has it."""
    return ObjectInfo(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation),
        size=int(blob.size or 0),
        crc32c=blob.crc32c or "",
        md5=blob.md5_hash or "",
        updated=blob.updated,
        metadata=blob.metadata or {},
    )


def info_from(bucket: str, resource: Mapping[str, Any]) -> ObjectInfo:
    """Describe an object as the JSON API shows it (cloud.google.com/storage/docs/json_api/v1/objects)."""
    return ObjectInfo(
        bucket=bucket,
        name=resource["name"],
        generation=int(resource["generation"]),
        size=int(resource.get("size", 0)),
        crc32c=resource.get("crc32c", ""),
        md5=resource.get("md5Hash", ""),
        updated=datetime.fromisoformat(resource["updated"]),
        metadata=resource.get("metadata") or {},
    )
