"""The buckets of the emulator, and the clock that versions buckets and objects."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .database import bucket_record
from .errors import ApiError, no_such_bucket
from .records import BucketRecord

if TYPE_CHECKING:
    import sqlite3

    from .preconditions import Preconditions


class BucketStore:
    """Buckets in a database.

    Args:
        database: An open database, which the store closes.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        # Every call looks up its bucket; the cache avoids reading and parsing a row each time.
        self._buckets = {row[0]: bucket_record(row) for row in database.execute("SELECT * FROM buckets")}
        self._last: int = database.execute("SELECT last FROM clock").fetchone()[0]

    def close(self) -> None:
        """Release the directory."""
        self._database.close()

    def tick(self) -> int:
        """Return the time in microseconds since 1970, strictly greater than any earlier value of this store."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return self._last

    def now(self) -> int:
        """Return the time in microseconds since 1970, never less than an earlier tick."""
        return max(time.time_ns() // 1000, self._last)

    def buckets(self) -> list[BucketRecord]:
        """Return all buckets, sorted by name."""
        return [self._buckets[name] for name in sorted(self._buckets)]

    def bucket(self, name: str) -> BucketRecord:
        """Return a bucket.

        Raises:
            ApiError: 404 if the bucket does not exist.
        """
        record = self._buckets.get(name)
        if record is None:
            raise no_such_bucket(name)
        return record

    def insert_bucket(self, name: str, fields: dict[str, Any]) -> BucketRecord:
        """Create a bucket.

        Raises:
            ApiError: 409 if the bucket already exists.
        """
        if name in self._buckets:
            raise ApiError(409, f"Your previous request to create the named bucket succeeded: {name}")
        now = self.tick()
        self._database.execute("INSERT INTO buckets VALUES (?, ?, ?, ?, ?)", (name, 1, now, now, json.dumps(fields)))
        record = self._buckets[name] = BucketRecord(name, 1, now, now, fields)
        return record

    def update_bucket(self, name: str, fields: dict[str, Any], conditions: Preconditions) -> BucketRecord:
        """Replace a bucket's fields.

        Args:
            name: The bucket.
            fields: The new fields.
            conditions: Preconditions on the bucket.

        Raises:
            ApiError: 404 if the bucket does not exist; 412 if a precondition fails.
        """
        old = self.bucket(name)
        conditions.check(0, old)
        record = BucketRecord(name, old.metageneration + 1, old.created, self.tick(), fields)
        self._database.execute(
            "UPDATE buckets SET metageneration = ?, updated = ?, fields = ? WHERE name = ?",
            (record.metageneration, record.updated, json.dumps(fields), name),
        )
        self._buckets[name] = record
        return record

    def delete_bucket(self, name: str, conditions: Preconditions) -> None:
        """Delete an empty bucket.

        Raises:
            ApiError: 404 if the bucket does not exist, 409 if it is not empty; 412 if a precondition fails.
        """
        conditions.check(0, self.bucket(name))
        if self._database.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
            raise ApiError(409, f"The bucket you tried to delete is not empty: {name}")
        self._database.execute("DELETE FROM buckets WHERE name = ?", (name,))
        del self._buckets[name]
