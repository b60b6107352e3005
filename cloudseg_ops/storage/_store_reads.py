"""The store's calls that read: listings, looks at single objects, and their bytes."""

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

_LOOKS_AT_ONCE = 8


class ReadCalls(Connection):
    """Listings, looks and downloads."""

    def list_objects(self, folder: GcsUri, *, start: str | None = None, end: str | None = None) -> Iterator[ObjectInfo]:
        """Stream the objects whose names begin with `folder.name`, in the order of their UTF-8 bytes.

        Args:
            folder: Bucket and prefix.
            start: Only names from this one on.
            end: Only names before this one.

        Raises:
            BucketNotFoundError: There is no such bucket.
        """
        with translated(f"list {folder}", bucket_only=True):
            for page in list_pages(self._client, folder.bucket, prefix=folder.name, start=start, end=end):
                yield from page.objects

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        """Describe an object; None when there is none of that name."""
        with translated(f"look at {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
        return info_of(blob) if blob else None

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        """Describe those of `names` that exist, with few requests.

        New inputs tend to lie next to each other, and so do their masks: a listing of the range between the
        first and the last name finds a thousand a request. Where other objects lie in between, it skips them, and
        before it costs more than asking for each name, it asks for the rest, several at once.
        """

        def list_from(start: str, end: str) -> Page:
            with translated(f"list gs://{bucket}", bucket_only=True):
                return list_page(self._client, bucket, start=start, end=end)

        found, rest = find_by_listing(sorted(set(names), key=str.encode), list_from)
        looked = in_order(lambda name: self.stat(GcsUri(bucket, name)), rest, at_once=_LOOKS_AT_ONCE)
        found.update((info.name, info) for info in looked if info)
        return found

    def read(
        self, uri: GcsUri, *, generation: int | None = None, size: int | None = None, crc32c: str | None = None
    ) -> bytes:
        """Download an object, or exactly that generation of it, and compare its bytes with their checksum.

        What is stored with the Content-Encoding gzip is unpacked.

        Args:
            uri: Its address.
            generation: Its version; None: the present one.
            size: Bytes of that generation, where known: a large one comes faster, in ranges at once.
            crc32c: CRC32C of that generation, base64, where known: it saves a request when Cloud Storage does not
                tell it along with a range.

        Raises:
            ObjectNotFoundError: It, or that generation, is not there.
            StorageError: Its bytes are not those that were stored, or it could not be read for another reason.
        """
        from cloudseg_ops.storage._reads import Reader

        def known_crc32c() -> str:
            return crc32c or self._stored_crc32c(uri, generation)

        with translated(f"read {uri}" + (f"#{generation}" if generation else "")):
            return Reader(self._transport, uri, generation).read(size, self._ranges, known_crc32c)

    def read_part(self, uri: GcsUri, start: int, end: int, *, generation: int | None = None) -> bytes:
        """Download the bytes of an object from `start` to before `end`, in one request, without a checksum.

        Args:
            uri: Its address; it must be stored as it is, without a Content-Encoding.
            start: First byte, from 0.
            end: The byte after the last one, above `start`; beyond the object's end, fewer bytes come, or none.
            generation: Its version; None: the present one.

        Raises:
            ObjectNotFoundError: It, or that generation, is not there.
        """
        from cloudseg_ops.storage._reads import Reader

        with translated(f"read {uri}" + (f"#{generation}" if generation else "")):
            return Reader(self._transport, uri, generation).part(start, end)

    def _stored_crc32c(self, uri: GcsUri, generation: int | None) -> str:
        blob = self._bucket(uri).get_blob(uri.name, generation=generation)
        if blob is None:
            raise ObjectNotFoundError(f"read {uri}: it is not there any more")
        return blob.crc32c or ""

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        """Stream the lines of a text object, without their line ends; memory does not grow with its size.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        with translated(f"read {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
            if blob is None:
                raise ObjectNotFoundError(f"read {uri}: there is no such object")
            # The reader finds out the size by itself only for a live version: pin the one just seen.
            with (
                blob.open("rb", chunk_size=STREAM_CHUNK) as stream,
                io.TextIOWrapper(stream, "utf-8") as text,
            ):
                for line in text:
                    yield line.rstrip("\n")
