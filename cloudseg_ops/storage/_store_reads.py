"""The store's read calls: listings, metadata of objects, and downloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import translated, translated_read
from cloudseg_ops.storage._connection import STREAM_CHUNK, Connection
from cloudseg_ops.storage._listing import Page, find_by_listing, list_page, list_pages, stat
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
            for page in list_pages(self._transport, folder.bucket, prefix=folder.name, start=start, end=end):
                yield from page.objects

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        """Return the metadata of an object; None if it does not exist."""
        with translated(f"read the metadata of {uri}"):
            return stat(self._transport, uri.bucket, uri.name)

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        """Return the metadata of those `names` that exist, by name, with few requests.

        The names of new inputs are usually adjacent, and so are those of their masks: listing finds a thousand of them
        per request. Other objects between them are skipped, and when listing would take longer than requesting each
        name, the remaining names are requested concurrently.
        """

        def list_from(start: str, end: str) -> Page:
            with translated(f"list gs://{bucket}", bucket_only=True):
                return list_page(self._transport, bucket, start=start, end=end)

        found, rest = find_by_listing(sorted(set(names), key=str.encode), list_from)
        looked = in_order(lambda name: self.stat(GcsUri(bucket, name)), rest, at_once=_STATS_AT_ONCE)
        found.update((info.name, info) for info in looked if info)
        return found

    def read(
        self, uri: GcsUri, *, generation: int | None = None, size: int | None = None, crc32c: str | None = None
    ) -> bytes:
        """Download an object and verify its checksum; read it again, up to twice, if it does not match.

        Objects with the Content-Encoding gzip are decompressed.

        Args:
            uri: The object.
            generation: The generation to read; None: the current one.
            size: Size of that generation in bytes, if known; large objects are then read faster, in concurrent ranges.
            crc32c: CRC32C of that generation, base64, if known; saves a request if the response to a range does not
                include it.

        Raises:
            ObjectNotFoundError: The object, or that generation of it, does not exist.
            ContentEncodingError: The stored bytes are intact, but not in their Content-Encoding.
            StorageError: The bytes do not match their checksum, or the object could not be read for another reason.
        """
        with translated(_reading(uri, generation)):
            return self._read(uri, generation, size, crc32c)[0]

    def read_input(self, uri: GcsUri, *, generation: int, size: int, crc32c: str) -> tuple[bytes, str]:
        """Download an input version as `read` does.

        Args:
            uri: The object.
            generation: The generation to read.
            size: Size of that generation in bytes.
            crc32c: CRC32C of that generation, base64; empty if the listing had none, as in a bucket with a default
                Cloud KMS key.

        Returns:
            Its content, and the verified CRC32C of its stored bytes.

        Raises:
            ObjectUnreadableError: Cloud Storage refuses to return this object; a retry would be refused, too.
        """
        with translated_read(_reading(uri, generation)):
            return self._read(uri, generation, size, crc32c)

    def _read(self, uri: GcsUri, generation: int | None, size: int | None, crc32c: str | None) -> tuple[bytes, str]:
        from cloudseg_ops.storage._reads import Reader

        def known_crc32c() -> str:
            return crc32c or self._stored_crc32c(uri, generation)

        reader = Reader(self._transport, uri, generation)
        return reader.read(size, self._ranges, known_crc32c), reader.crc32c

    def read_part(self, uri: GcsUri, start: int, end: int, *, generation: int | None = None) -> bytes:
        """Download the bytes of an object from `start` up to `end` in one request.

        The checksum is verified only if the part is the whole object.

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

        with translated(_reading(uri, generation)):
            return Reader(self._transport, uri, generation).part(start, end)

    def _stored_crc32c(self, uri: GcsUri, generation: int | None) -> str:
        info = stat(self._transport, uri.bucket, uri.name, generation)
        if info is None:
            raise ObjectNotFoundError(f"read {uri}: the object does not exist any more")
        return info.crc32c

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        """Stream the lines of a text object, without line endings, in bounded memory.

        Every line is verified before it is returned: an object of more than one MiB is read twice, first to verify its
        checksum. What is corrupted is read again, up to twice.

        Raises:
            ObjectNotFoundError: The object does not exist.
            ManifestError: The object is not UTF-8 text.
            StorageError: The bytes do not match their checksum.
        """
        from cloudseg_ops.storage._lines import LineReader

        with translated(f"read {uri}"):
            reader = LineReader(self._transport, uri, STREAM_CHUNK, lambda version: self._stored_crc32c(uri, version))
            yield from reader.lines()


def _reading(uri: GcsUri, generation: int | None) -> str:
    return f"read {uri}" + (f"#{generation}" if generation else "")
