"""The state of the emulator: buckets and live objects, each change in one atomic step.

Metadata lie in SQLite (in memory or in the directory), payloads beside it. SQLite keeps the names in the byte
order of UTF-8 that a listing needs, with no index to rebuild at a start, and each commit survives the death of
the process. All methods run on the emulator's event loop, one at a time: that is what makes a check of
preconditions and the change that follows it atomic.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from .errors import ApiError, EmulatorStartError, no_such_bucket, no_such_object
from .payloads import Content, DirectoryPayloads, MemoryPayloads, Payloads, PayloadWriter
from .records import BucketRecord, ObjectRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from .preconditions import Preconditions

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, metageneration INTEGER, created INTEGER, updated INTEGER, fields TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, name BLOB, generation INTEGER, metageneration INTEGER, payload TEXT, size INTEGER,
    crc32c TEXT, md5 TEXT, updated INTEGER, fields TEXT, components INTEGER, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), last INTEGER);
INSERT OR IGNORE INTO clock VALUES (1, 0);
"""
_COLUMNS = "name, generation, metageneration, payload, size, crc32c, md5, updated, fields, components"


def _open_database(directory: Path | None) -> sqlite3.Connection:
    """Open the metadata, for this process alone.

    ``synchronous=OFF`` leaves the write-ahead log to the kernel: a killed process loses nothing, only a power
    cut may.
    """
    target = ":memory:" if directory is None else str(directory / "metadata.sqlite3")
    database = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.executescript(_SCHEMA)
    except sqlite3.Error as error:
        database.close()
        raise EmulatorStartError(
            f"cannot use {directory} as the emulator's directory ({error}): another emulator may be running "
            "on it; stop that one, or choose another directory"
        ) from error
    return database


class Store:
    """Buckets and objects, in memory or in a directory."""

    def __init__(self, directory: Path | None) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self._database = _open_database(directory)
        self.payloads: Payloads
        if directory is None:
            self.payloads = MemoryPayloads()
        else:
            self.payloads = DirectoryPayloads(directory / "payloads")
        self.payloads.sweep(row[0] for row in self._database.execute("SELECT payload FROM objects"))
        self._last: int = self._database.execute("SELECT last FROM clock").fetchone()[0]

    def close(self) -> None:
        """Release the directory."""
        self._database.close()

    def tick(self) -> int:
        """Return the time in microseconds since 1970, strictly later than any this store has ever returned."""
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return self._last

    def writer(self) -> PayloadWriter:
        """Open a new payload."""
        return PayloadWriter(self.payloads)

    def open(self, record: ObjectRecord) -> IO[bytes]:
        """Open the bytes of an object; they stay readable when the object is replaced meanwhile."""
        return self.payloads.open(record.payload)

    # Buckets

    def buckets(self) -> list[BucketRecord]:
        """Return all buckets by name."""
        rows = self._database.execute("SELECT * FROM buckets ORDER BY name")
        return [_bucket(row) for row in rows]

    def bucket(self, name: str) -> BucketRecord:
        """Return a bucket.

        Raises:
            ApiError: 404.
        """
        row = self._database.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise no_such_bucket(name)
        return _bucket(row)

    def insert_bucket(self, name: str, fields: dict[str, Any]) -> BucketRecord:
        """Create a bucket.

        Raises:
            ApiError: 409 if there is one of this name.
        """
        now = self.tick()
        record = BucketRecord(name, 1, now, now, fields)
        try:
            self._database.execute(
                "INSERT INTO buckets VALUES (?, ?, ?, ?, ?)", (name, 1, now, now, json.dumps(fields))
            )
        except sqlite3.IntegrityError:
            raise ApiError(409, f"Your previous request to create the named bucket succeeded: {name}") from None
        return record

    def update_bucket(self, name: str, fields: dict[str, Any], conditions: Preconditions) -> BucketRecord:
        """Replace a bucket's fields."""
        old = self.bucket(name)
        conditions.check(0, old)
        record = BucketRecord(name, old.metageneration + 1, old.created, self.tick(), fields)
        self._database.execute(
            "UPDATE buckets SET metageneration = ?, updated = ?, fields = ? WHERE name = ?",
            (record.metageneration, record.updated, json.dumps(fields), name),
        )
        return record

    def delete_bucket(self, name: str, conditions: Preconditions) -> None:
        """Delete an empty bucket.

        Raises:
            ApiError: 404, 412, or 409 if it holds an object.
        """
        conditions.check(0, self.bucket(name))
        if self._database.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
            raise ApiError(409, f"The bucket you tried to delete is not empty: {name}")
        self._database.execute("DELETE FROM buckets WHERE name = ?", (name,))

    # Objects

    def find(self, bucket: str, name: str) -> ObjectRecord | None:
        """Return the live object of a name, or None."""
        row = self._database.execute(
            f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name = ?",  # noqa: S608 - a constant
            (bucket, name.encode()),
        ).fetchone()
        return None if row is None else _record(bucket, row)

    def get(self, bucket: str, name: str, generation: int | None, conditions: Preconditions) -> ObjectRecord:
        """Return the live object of a name.

        Raises:
            ApiError: 404 if there is none or it has another generation; 412 or 304 by the preconditions.
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
        """Hold a coming write against what is live now, and return what it would replace."""
        self.bucket(bucket)
        old = self.find(bucket, name)
        conditions.check(old.generation if old else 0, old)
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
        """Make ``content`` the live generation of a name.

        Raises:
            ApiError: 404 if there is no such bucket; 412 by the preconditions. The payload is dropped then.
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
        """Give an object other metadata: the same generation, the next metageneration."""
        record = ObjectRecord(
            **{**vars(old), "metageneration": old.metageneration + 1, "updated": self.tick(), "fields": fields}
        )
        self._write(record)
        return record

    def delete(self, record: ObjectRecord) -> None:
        """Delete an object."""
        self._database.execute(
            "DELETE FROM objects WHERE bucket = ? AND name = ?", (record.bucket, record.name.encode())
        )
        self.payloads.remove(record.payload)

    def scan(self, bucket: str, start: bytes, end: bytes | None) -> Iterator[ObjectRecord]:
        """Yield live objects in the byte order of their names, from ``start`` up to but not including ``end``."""
        bound = "" if end is None else " AND name < ?"
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND name >= ?{bound} ORDER BY name",  # noqa: S608
            (bucket, start) if end is None else (bucket, start, end),
        )
        return (_record(bucket, row) for row in rows)

    def _write(self, record: ObjectRecord) -> None:
        row = (
            record.bucket,
            record.name.encode(),
            record.generation,
            record.metageneration,
            record.payload,
            record.size,
            record.crc32c,
            record.md5,
            record.updated,
            json.dumps(record.fields),
            record.components,
        )
        self._database.execute("BEGIN")
        self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._database.execute("UPDATE clock SET last = ?", (self._last,))
        self._database.execute("COMMIT")


def _bucket(row: tuple[Any, ...]) -> BucketRecord:
    name, metageneration, created, updated, fields = row
    return BucketRecord(name, metageneration, created, updated, json.loads(fields))


def _record(bucket: str, row: tuple[Any, ...]) -> ObjectRecord:
    name, generation, metageneration, payload, size, crc32c, md5, updated, fields, components = row
    return ObjectRecord(
        bucket=bucket,
        name=name.decode(),
        generation=generation,
        metageneration=metageneration,
        payload=payload,
        size=size,
        crc32c=crc32c,
        md5=md5,
        updated=updated,
        fields=json.loads(fields),
        components=components,
    )
