"""The buckets and live objects of the emulator; every change is atomic.

Metadata and small payloads are in SQLite (in memory or in the directory), large payloads in files. SQLite keeps names
in the UTF-8 byte order that listings need, needs no index rebuild at start, and its commits survive a killed process.
All methods run on the emulator's event loop, one at a time, so that checking preconditions and applying the change is
one atomic step.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .bucket_store import BucketStore
from .database import COLUMNS, object_record, object_row, open_database
from .errors import ApiError, no_such_object
from .payloads import Content, DirectoryPayloads, MemoryPayloads, Payloads, PayloadWriter
from .records import ObjectRecord
from .retention import check_retention

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from .preconditions import Preconditions


class Store(BucketStore):
    """Buckets and objects, in memory or in a directory."""

    def __init__(self, directory: Path | None) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        super().__init__(open_database(directory))
        self.payloads: Payloads
        if directory is None:
            self.payloads = MemoryPayloads()
        else:
            self.payloads = DirectoryPayloads(directory / "payloads", self._database)
        self.payloads.sweep(row[0] for row in self._database.execute("SELECT payload FROM objects"))

    def writer(self) -> PayloadWriter:
        """Open a new payload."""
        return PayloadWriter(self.payloads)

    def open(self, record: ObjectRecord) -> IO[bytes]:
        """Open an object's content, which stays readable if the object is replaced."""
        return self.payloads.open(record.payload)

    def find(self, bucket: str, name: str) -> ObjectRecord | None:
        """Return the live object with a name, or None."""
        row = self._database.execute(
            f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name = ?",  # noqa: S608 - a constant
            (bucket, name.encode()),
        ).fetchone()
        return None if row is None else object_record(bucket, row)

    def get(self, bucket: str, name: str, generation: int | None, conditions: Preconditions) -> ObjectRecord:
        """Return the live object with a name.

        Args:
            bucket: The bucket.
            name: The object's name.
            generation: The required generation; None accepts any.
            conditions: Preconditions on the object.

        Raises:
            ApiError: 404 if the object does not exist or has another generation; 412 or 304 if a precondition fails.
        """
        record = self.find(bucket, name)
        if record is None:
            self.bucket(bucket)
            raise no_such_object(bucket, name)
        if generation and generation != record.generation:
            raise no_such_object(bucket, f"{name}#{generation}")
        conditions.check(record.generation, record)
        return record

    def check(self, bucket: str, name: str, conditions: Preconditions) -> ObjectRecord | None:
        """Check the preconditions of a write, and return the object that it would replace, if any.

        Args:
            bucket: The bucket.
            name: The object's name.
            conditions: Preconditions of the write.

        Raises:
            ApiError: 404 if the bucket does not exist; 412 if a precondition fails; 403 if a hold or a retention
                policy keeps the object that it would replace.
        """
        owner = self.bucket(bucket)
        old = self.find(bucket, name)
        conditions.check(old.generation if old else 0, old)
        if old is not None:
            check_retention(owner, old, self.now())
        return old

    def put(
        self,
        bucket: str,
        name: str,
        content: Content,
        fields: dict[str, Any],
        conditions: Preconditions,
        *,
        components: int = 0,
    ) -> ObjectRecord:
        """Make ``content`` the live generation of an object.

        Args:
            bucket: The bucket.
            name: The object's name.
            content: The stored content; removed if the call fails.
            fields: The fields set by the client.
            conditions: Preconditions of the write.
            components: Number of objects it was composed from; 0 if it was not composed.

        Raises:
            ApiError: 404 if the bucket does not exist; 412 if a precondition fails.
        """
        try:
            old = self.check(bucket, name, conditions)
        except ApiError:
            self.payloads.remove(content.payload)
            raise
        now = self.tick()
        record = ObjectRecord(
            bucket=bucket,
            name=name,
            generation=now,
            metageneration=1,
            payload=content.payload,
            size=content.size,
            crc32c=content.crc32c,
            md5=None if components else content.md5,
            updated=now,
            fields=fields,
            components=components,
        )
        self._write(record)
        if old is not None:
            self.payloads.remove(old.payload)
        return record

    def update(self, old: ObjectRecord, fields: dict[str, Any]) -> ObjectRecord:
        """Replace an object's metadata, incrementing the metageneration."""
        record = dataclasses.replace(old, metageneration=old.metageneration + 1, updated=self.tick(), fields=fields)
        self._write(record)
        return record

    def move(self, source: ObjectRecord, name: str, conditions: Preconditions) -> ObjectRecord:
        """Rename an object within its bucket, atomically, as a new generation of the new name.

        Args:
            source: The object.
            name: The new name.
            conditions: Preconditions on the object that has that name now.

        Raises:
            ApiError: 412 if a precondition fails; 403 if a hold or a retention policy keeps either object.
        """
        old = self.check(source.bucket, name, conditions)
        check_retention(self.bucket(source.bucket), source, self.now())
        now = self.tick()
        record = dataclasses.replace(source, name=name, generation=now, metageneration=1, updated=now)
        self._write(record, replaces=source)
        if old is not None and old.name != source.name:
            self.payloads.remove(old.payload)
        return record

    def delete(self, record: ObjectRecord) -> None:
        """Delete an object.

        Raises:
            ApiError: 403 if a hold or a retention policy keeps it.
        """
        check_retention(self.bucket(record.bucket), record, self.now())
        self._delete_row(record)
        self.payloads.remove(record.payload)

    def scan(self, bucket: str, start: bytes, end: bytes | None) -> Iterator[ObjectRecord]:
        """Yield live objects in byte order of their names.

        Args:
            bucket: The bucket.
            start: The first name, inclusive.
            end: The end of the range, exclusive; None scans to the end of the bucket.
        """
        end_condition = "" if end is None else " AND name < ?"
        rows = self._database.execute(
            f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name >= ?{end_condition} ORDER BY name",  # noqa: S608
            (bucket, start) if end is None else (bucket, start, end),
        )
        return (object_record(bucket, row) for row in rows)

    def _delete_row(self, record: ObjectRecord) -> None:
        self._database.execute(
            "DELETE FROM objects WHERE bucket = ? AND name = ?", (record.bucket, record.name.encode())
        )

    def _write(self, record: ObjectRecord, replaces: ObjectRecord | None = None) -> None:
        self._database.execute("BEGIN")
        if replaces is not None:
            self._delete_row(replaces)
        self._database.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", object_row(record)
        )
        self._database.execute("UPDATE clock SET last = ?", (self._last,))
        self._database.execute("COMMIT")
