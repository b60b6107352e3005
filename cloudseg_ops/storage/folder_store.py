"""A store whose buckets are folders of this machine, to run the engine without Cloud Storage."""

from __future__ import annotations

import base64
import hashlib
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.errors import BucketNotFoundError, ObjectNotFoundError, PreconditionFailedError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._store import Store

GENERATION = 1
"""The generation of every object: files have only one version."""


class FolderStore(Store):
    """Serves the calls of `pull_model` and of the engine from folders; safe to share between threads.

    Preconditions are kept within one process. Custom metadata is kept in memory. All other calls of a store fail.

    Args:
        folders: The folder of each bucket. A bucket whose objects are only read may be any folder of files.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)
        self._metadata: dict[GcsUri, dict[str, str]] = {}
        self._lock = threading.Lock()

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        """Return the metadata of an object; None if it does not exist."""
        path = self._path(uri)
        if not path.is_file():
            return None
        data = path.read_bytes()
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return ObjectInfo(
            uri.bucket,
            uri.name,
            GENERATION,
            len(data),
            _crc32c_of(data),
            md5,
            changed,
            self._metadata.get(uri, {}),
        )

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        """Return the metadata of those `names` that exist, by name."""
        found = ((name, self.stat(GcsUri(bucket, name))) for name in names)
        return {name: info for name, info in found if info}

    def read(self, uri: GcsUri, **_: Any) -> bytes:
        """Return the content of an object.

        Raises:
            ObjectNotFoundError: The object does not exist.
        """
        try:
            return self._path(uri).read_bytes()
        except FileNotFoundError:
            raise ObjectNotFoundError(f"read {uri}: there is no file {self._path(uri)}") from None

    def read_input(self, uri: GcsUri, **_: Any) -> tuple[bytes, str]:
        """Return the content of an object and its CRC32C.

        Raises:
            ObjectNotFoundError: The object does not exist.
        """
        data = self.read(uri)
        return data, _crc32c_of(data)

    def read_part(self, uri: GcsUri, start: int, end: int, **_: Any) -> bytes:
        """Return the bytes of an object from `start` up to `end`.

        Raises:
            ObjectNotFoundError: The object does not exist.
        """
        return self.read(uri)[start:end]

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        """Stream the lines of a text object, without line endings.

        Raises:
            ObjectNotFoundError: The object does not exist.
        """
        # Not `splitlines`, for which names of photographs may contain line ends.
        yield from (line for line in self.read(uri).decode().split("\n") if line)

    def write(
        self,
        uri: GcsUri,
        data: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        if_generation_match: int | None = None,
        **_: Any,
    ) -> ObjectInfo:
        """Write an object.

        Args:
            uri: The object.
            data: Its content.
            metadata: Its custom metadata.
            if_generation_match: 0: write only if the object does not exist.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        path = self._path(uri)
        with self._lock:
            self._require(uri, path, if_generation_match)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self._metadata[uri] = dict(metadata or {})
        return ObjectInfo(uri.bucket, uri.name, GENERATION, len(data), _crc32c_of(data), "", datetime.now(UTC))

    def write_file(self, uri: GcsUri, path: Path, *, if_generation_match: int | None = None) -> ObjectInfo:
        """Copy a file; see `write`."""
        return self.write(uri, path.read_bytes(), if_generation_match=if_generation_match)

    def write_lines(
        self, uri: GcsUri, lines: Iterable[str], *, metadata: Mapping[str, str] | None = None, **how: Any
    ) -> None:
        """Write a text object; see `write`."""
        self.write(uri, "".join(f"{line}\n" for line in lines).encode(), metadata=metadata, **how)

    def copy(
        self,
        source: GcsUri,
        generation: int,
        target: GcsUri,
        *,
        metadata: Mapping[str, str],
        if_generation_match: int | None = None,
    ) -> None:
        """Copy an object, with new custom metadata.

        Args:
            source: The object to copy.
            generation: Its generation.
            target: The object to write.
            metadata: Its custom metadata.
            if_generation_match: 0: write only if the target does not exist.

        Raises:
            ObjectNotFoundError: The source does not exist.
            PreconditionFailedError: The target has another generation.
        """
        path = self._path(target)
        with self._lock:
            self._require(target, path, if_generation_match)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self._path(source), path)
            except FileNotFoundError:
                raise ObjectNotFoundError(f"copy {source}#{generation}: there is no such file") from None
            self._metadata[target] = dict(metadata)

    def _path(self, uri: GcsUri) -> Path:
        try:
            return self._folders[uri.bucket] / uri.name
        except KeyError:
            known = ", ".join(sorted(self._folders))
            raise BucketNotFoundError(f"{uri}: the buckets of this store are {known}") from None

    def _require(self, uri: GcsUri, path: Path, generation: int | None) -> None:
        if generation is not None and path.is_file() != bool(generation):
            state = "exists already" if path.is_file() else "does not exist"
            raise PreconditionFailedError(f"write {uri}: the object {state}")


def _crc32c_of(data: bytes) -> str:
    # Imported here, because DAG files are parsed without google_crc32c.
    from cloudseg_ops.storage._checksums import crc32c_of

    return crc32c_of(data)
