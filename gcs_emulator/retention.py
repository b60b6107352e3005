"""Holds and retention policies, which keep an object from being deleted or replaced.

See https://cloud.google.com/storage/docs/object-holds and https://cloud.google.com/storage/docs/bucket-lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ApiError
from .records import rfc3339

if TYPE_CHECKING:
    from .records import BucketRecord, ObjectRecord

_HOLDS = {"temporaryHold": "Temporary", "eventBasedHold": "Event-Based"}


def check_retention(bucket: BucketRecord, record: ObjectRecord, now: int) -> None:
    """Check that an object may be deleted or replaced.

    Args:
        bucket: Its bucket, whose `retentionPolicy.retentionPeriod` is in seconds.
        record: The object.
        now: The time, in microseconds since 1970.

    Raises:
        ApiError: 403. A hold has the reason `forbidden`, as a missing permission has; only the message names it.
    """
    name = f"{record.bucket}/{record.name}"
    for key, kind in _HOLDS.items():
        if record.fields.get(key):
            raise ApiError(
                403,
                f"Object '{name}' is under active {kind} hold and cannot be deleted, overwritten or archived until "
                "hold is removed.",
            )
    period = int(bucket.fields.get("retentionPolicy", {}).get("retentionPeriod", 0))
    until = record.generation + period * 1_000_000
    if now < until:
        raise ApiError(
            403,
            f"Object '{name}' is subject to bucket's retention policy or object retention and cannot be deleted or "
            f"overwritten until {rfc3339(until)}",
            reason="retentionPolicyNotMet",
        )
