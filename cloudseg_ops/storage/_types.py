"""Types and limits of the store: object metadata, and outcomes of deletes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from cloudseg_ops.contracts.objects import ObjectInfo

PAGE_SIZE = 1000
"""Maximum objects in a page of a listing (cloud.google.com/storage/docs/json_api/v1/objects/list)."""
BATCH_SIZE = 100
"""Maximum calls in a batch request (cloud.google.com/storage/docs/batch)."""
LINES_TYPE = "application/jsonl"
"""Content type of the lists that are JSON lines."""


class Deletion(StrEnum):
    """The outcome of a delete."""

    DELETED = "deleted"
    """The object existed, and was deleted."""
    GONE = "gone"
    """The object did not exist (any more)."""
    CHANGED = "changed"
    """The object has another generation; nothing was deleted."""
    HELD = "held"
    """A hold keeps the object."""
    RETAINED = "retained"
    """A retention policy keeps the object."""
    FORBIDDEN = "forbidden"
    """The identity lacks the permission for this object."""
    FAILED = "failed"
    """Cloud Storage refused the call for another reason, or failed until the retries ended."""


REFUSALS = frozenset({Deletion.HELD, Deletion.RETAINED, Deletion.FORBIDDEN, Deletion.FAILED})
"""The outcomes of deletes that did not take place although the object is unchanged."""


class DeleteResult(NamedTuple):
    """What became of one delete.

    Attributes:
        outcome: The outcome.
        reason: Cloud Storage's message, if the outcome is one of `REFUSALS`.
    """

    outcome: Deletion
    reason: str = ""


def info_from(bucket: str, resource: Mapping[str, Any]) -> ObjectInfo:
    """Return the metadata of a resource of the JSON API (cloud.google.com/storage/docs/json_api/v1/objects)."""
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
