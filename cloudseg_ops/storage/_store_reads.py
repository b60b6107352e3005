"""The store's read calls: listings, metadata of objects, and downloads."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import translated
from cloudseg_ops.storage._connection import STREAM_CHUNK, Connection
from cloudseg_ops.storage._listing import Page, find_by_listing, list_page, list_pages
from cloudseg_ops.storage._types import info_of
from cloudseg_ops.storage.concurrency import in_order

_STATS_AT_ONCE = 8


class ReadCalls(Connection):
    """Listings, metadata and downloads."""

    def list_objects(self, folder: GcsUri, *, start: str | None = None, end: str | None = None) -> Iterator[ObjectInfo]:
        """Stream the objects whose names begin with `folder.name`, ordered by the UTF-8 bytes of their names.

        Args:
            folder: Bucket and prefix.
            start: Only list names from this one on.
            end: Only list names before this one.

        Raises:
            BucketNotFoundError: The bucket does not exist.
        """
        with translated(f"list {folder}", bucket_only=True):
            for page in list_pages(self._client, folder.bucket, prefix=folder.name, start=start, end=end):
                yield from page.objects

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        """Return the metadata of an object; None if it does not exist."""
        with translated(f"read the metadata of {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
        return info_of(blob) if blob else None

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        """Return the metadata of those `names` that exist, by name, with few requests.

        The names of new inputs are usually adjacent, and so are those of their masks: listing finds a thousand of them
        per request. Other objects between them are skipped, and when listing would take longer than requesting each
        name, the remaining names are requested concurrently.
        """

        def list_from(start: str, end: str) -> Page:
            with translated(f"list gs://{bucket}", bucket_only=True):
                return list_page(self._client, bucket, start=start, end=end)

        found, rest = find_by_listing(sorted(set(names), key=str.encode), list_from)
        looked = in_order(lambda name: self.stat(GcsUri(bucket, name)), rest, at_once=_STATS_AT_ONCE)
        found.update((info.name, info) for info in looked if info)
        return found

    def read(
        self, uri: GcsUri, *, generation: int | None = None, size: int | None = None, crc32c: str | None = None
    ) -> bytes:
        """Download an object and verify its checksum.

        Objects with the Content-Encoding gzip are decompressed.

        Args:
            uri: The object.
            generation: The generation to read; None: the current one.
            size: Size of that generation in bytes, if known; large objects are then read faster, in concurrent ranges.
            crc32c: CRC32C of that generation, base64, if known; saves a request if the response to a range does not
                include it.

        Raises:
            ObjectNotFoundError: The object, or that generation of it, does not exist.
            StorageError: The bytes do not match their checksum, or the object could not be read for another reason.
        """
        from cloudseg_ops.storage._reads import Reader

        def known_crc32c() -> str:
            return crc32c or self._stored_crc32c(uri, generation)

        with translated(f"read {uri}" + (f"#{generation}" if generation else "")):
            return Reader(self._transport, uri, generation).read(size, self._ranges, known_crc32c)

    def read_part(self, uri: GcsUri, start: int, end: int, *, generation: int | None = None) -> bytes:
        """Download the bytes of an object from `start` up to `end` in one request, without verifying a checksum.

        Args:
            uri: The object, which must be stored without a Content-Encoding.
            start: First byte, counted from 0.
            end: First byte that is not downloaded, above `start`; if the object is shorter, fewer bytes or none are
                returned.
            generation: The generation to read; None: the current one.

        Raises:
            ObjectNotFoundError: The object, or that generation of it, does not exist.
            StorageError: The object is stored compressed, or could not be read for another reason.
        """
        from cloudseg_ops.storage._reads import Reader

        with translated(f"read {uri}" + (f"#{generation}" if generation else "")):
            return Reader(self._transport, uri, generation).part(start, end)

    def _stored_crc32c(self, uri: GcsUri, generation: int | None) -> str:
        blob = self._bucket(uri).get_blob(uri.name, generation=generation)
        if blob is None:
            raise ObjectNotFoundError(f"read {uri}: the object does not exist any more")
        return blob.crc32c or ""

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        """Stream the lines of a text object, without line endings, in bounded memory.

        Raises:
            ObjectNotFoundError: The object does not exist.
        """
        with translated(f"read {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
            if blob is None:
                raise ObjectNotFoundError(f"read {uri}: there is no such object")
            # `get_blob` pins the generation and its size, which the reader could determine only for a live version.
            with (
                blob.open("rb", chunk_size=STREAM_CHUNK) as stream,
                io.TextIOWrapper(stream, "utf-8") as text,
            ):
                for line in text:
                    yield line.rstrip("\n")
