"""Reads parts of a staged file as if it were a local one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 64 * 1024


class _Ranges(io.RawIOBase):
    """One generation of an object, read in ranges."""

    def __init__(self, store: Store, uri: GcsUri, info: ObjectInfo) -> None:
        self._store = store
        self._uri = uri
        self._info = info
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._info.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._place + len(view), self._info.size)
        if end <= self._place:
            return 0
        data = self._store.read_part(self._uri, self._place, end, generation=self._info.generation)
        if len(data) != end - self._place:
            raise StorageError(
                f"read {self._uri}: {len(data)} bytes came instead of {end - self._place}; the next try reads it again"
            )
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


def open_staged(store: Store, uri: GcsUri, info: ObjectInfo) -> io.BufferedReader:
    """Open an object for reading in ranges; only what is read is downloaded.

    Args:
        store: Cloud Storage.
        uri: The object.
        info: The generation to read, and its size.
    """
    return io.BufferedReader(_Ranges(store, uri, info), _BUFFER_BYTES)
