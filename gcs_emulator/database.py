"""The SQLite database for the emulator's metadata and small payloads."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from .errors import EmulatorStartError
from .records import BucketRecord, ObjectRecord

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, metageneration INTEGER, created INTEGER, updated INTEGER, fields TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT, name BLOB, generation INTEGER, metageneration INTEGER, payload TEXT, size INTEGER,
    crc32c TEXT, md5 TEXT, updated INTEGER, fields TEXT, components INTEGER, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payloads (id TEXT PRIMARY KEY, bytes BLOB);
CREATE TABLE IF NOT EXISTS clock (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), last INTEGER);
INSERT OR IGNORE INTO clock VALUES (1, 0);
"""
COLUMNS = "name, generation, metageneration, payload, size, crc32c, md5, updated, fields, components"
"""Columns of an object query, in the order of `object_record`."""


def open_database(directory: Path | None) -> sqlite3.Connection:
    """Open the database exclusively for this process.

    ``synchronous=OFF`` leaves flushing the write-ahead log to the kernel: a killed process loses nothing, a power
    failure may lose data.

    Raises:
        EmulatorStartError: The directory cannot be used, for instance because another emulator uses it.
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
            f"cannot use {directory} as the emulator's directory ({error}): another emulator may be using "
            "it; stop that one, or choose another directory"
        ) from error
    return database


def bucket_record(row: tuple[Any, ...]) -> BucketRecord:
    """Convert a database row to a bucket record."""
    name, metageneration, created, updated, fields = row
    return BucketRecord(name, metageneration, created, updated, json.loads(fields))


def object_record(bucket: str, row: tuple[Any, ...]) -> ObjectRecord:
    """Convert a row of `COLUMNS` to an object record."""
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


def object_row(record: ObjectRecord) -> tuple[Any, ...]:
    """Convert an object record to a row of the objects table."""
    return (
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
