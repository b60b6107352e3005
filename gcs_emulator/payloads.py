"""Stores object contents in memory, or on disk: small ones in the database, large ones as one file each.

A payload is written once, under a unique id, and never changed; an object refers to it only once it is complete. A
crash can therefore leave at most an unreferenced payload, which the next start removes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

import google_crc32c

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

SMALL_BYTES = 64 * 1024
"""Maximum size of a payload that is stored in the database."""


@dataclass(frozen=True)
class Content:
    """A complete payload: id, size in bytes, and checksums (base64, as in an object resource)."""

    payload: str
    size: int
    crc32c: str
    md5: str


class Payloads(Protocol):
    """The interface of a payload store."""

    def create(self, payload: str) -> IO[bytes]:
        """Open a new payload for writing."""

    def keep(self, payload: str, written: IO[bytes]) -> None:
        """Close and store a complete payload."""

    def open(self, payload: str) -> IO[bytes]:
        """Open a payload for reading; the file stays readable after the payload's removal."""

    def copy(self, payload: str) -> str:
        """Return the id of a second reference to the same bytes."""

    def remove(self, payload: str) -> None:
        """Remove a payload if it exists."""

    def sweep(self, referenced: Iterable[str]) -> None:
        """Remove all payloads except those referenced."""


class MemoryPayloads:
    """Payloads in memory."""

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}

    def create(self, payload: str) -> IO[bytes]:  # noqa: ARG002 - the id is used by keep()
        """Open a new payload for writing."""
        return io.BytesIO()

    def keep(self, payload: str, written: IO[bytes]) -> None:
        """Close and store a complete payload."""
        written.seek(0)
        self._bytes[payload] = written.read()

    def open(self, payload: str) -> IO[bytes]:
        """Open a payload for reading."""
        return io.BytesIO(self._bytes[payload])

    def copy(self, payload: str) -> str:
        """Return the id of a second reference to the same bytes."""
        twin = uuid.uuid4().hex
        self._bytes[twin] = self._bytes[payload]
        return twin

    def remove(self, payload: str) -> None:
        """Remove a payload if it exists."""
        self._bytes.pop(payload, None)

    def sweep(self, referenced: Iterable[str]) -> None:
        """Do nothing: memory starts empty."""


class _Spool(io.BytesIO):
    """A payload being written: buffered in memory while small, then moved to a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.file: IO[bytes] | None = None

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        if self.file is None and self.tell() + len(data) > SMALL_BYTES:
            self.file = self._path.open("xb")
            self.file.write(self.getbuffer())
        return super().write(data) if self.file is None else self.file.write(data)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        super().close()


class DirectoryPayloads:
    """Payloads on disk: rows of the database, or files in 256 folders named by the first two hex digits of their ids.

    Creating a file can cost a hundred times as much as a row (ext4 on a virtual disk: 0.8 ms of CPU against 0.03), and
    masks are small. A row, like a file, is committed before any object refers to it.
    """

    def __init__(self, root: Path, database: sqlite3.Connection) -> None:
        self._root = root
        self._database = database
        for first in range(256):
            (root / f"{first:02x}").mkdir(parents=True, exist_ok=True)

    def _path(self, payload: str) -> Path:
        return self._root / payload[:2] / payload

    def create(self, payload: str) -> IO[bytes]:
        """Open a new payload for writing."""
        return _Spool(self._path(payload))

    def keep(self, payload: str, written: IO[bytes]) -> None:
        """Close and store a complete payload."""
        if isinstance(written, _Spool) and written.file is None:
            self._database.execute("INSERT INTO payloads VALUES (?, ?)", (payload, written.getvalue()))
        written.close()

    def open(self, payload: str) -> IO[bytes]:
        """Open a payload for reading."""
        row = self._database.execute("SELECT bytes FROM payloads WHERE id = ?", (payload,)).fetchone()
        return self._path(payload).open("rb") if row is None else io.BytesIO(row[0])

    def copy(self, payload: str) -> str:
        """Return the id of a second reference to the same bytes."""
        twin = uuid.uuid4().hex
        small = self._database.execute(
            "INSERT INTO payloads SELECT ?, bytes FROM payloads WHERE id = ?", (twin, payload)
        )
        if small.rowcount:
            return twin
        try:
            os.link(self._path(payload), self._path(twin))
        except OSError:  # a file system without hard links
            shutil.copyfile(self._path(payload), self._path(twin))
        return twin

    def remove(self, payload: str) -> None:
        """Remove a payload if it exists."""
        if not self._database.execute("DELETE FROM payloads WHERE id = ?", (payload,)).rowcount:
            self._path(payload).unlink(missing_ok=True)

    def sweep(self, referenced: Iterable[str]) -> None:
        """Remove all payloads except those referenced."""
        keep = set(referenced)
        rows = self._database.execute("SELECT id FROM payloads").fetchall()
        self._database.executemany("DELETE FROM payloads WHERE id = ?", [row for row in rows if row[0] not in keep])
        for folder in self._root.iterdir():
            for entry in os.scandir(folder):
                if entry.name not in keep:
                    os.unlink(entry.path)  # noqa: PTH108 - tens of thousands of entries of scandir


class PayloadWriter:
    """Writes one payload and computes its checksums incrementally."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._payload = uuid.uuid4().hex
        self._file = payloads.create(self._payload)
        self._crc32c: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._file.write(data)
        self._crc32c.update(bytes(data))
        self._md5.update(data)
        self.size += len(data)

    def finish(self) -> Content:
        """Store the payload and return its id, size and checksums."""
        self._payloads.keep(self._payload, self._file)
        crc32c = base64.b64encode(self._crc32c.digest()).decode()
        return Content(self._payload, self.size, crc32c, base64.b64encode(self._md5.digest()).decode())

    def discard(self) -> None:
        """Close and remove the payload."""
        with suppress(OSError):
            self._file.close()
        self._payloads.remove(self._payload)
