"""The store: every call that cloudseg makes to Cloud Storage."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from cloudseg_ops.contracts.errors import ObjectNotFoundError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import retry, translated
from cloudseg_ops.storage._deletes import delete_batch
from cloudseg_ops.storage._lines import LineStream
from cloudseg_ops.storage._listing import Page, list_page, list_pages
from cloudseg_ops.storage._looking import find_by_listing
from cloudseg_ops.storage._pace import Pacer
from cloudseg_ops.storage._types import BATCH_SIZE, LINES_TYPE, Deletion, info_of
from cloudseg_ops.storage.concurrency import in_order

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client

_STREAM_CHUNK = 1024 * 1024
RANGES_AT_ONCE = 8
"""Concurrent ranges, in addition to the first of each read."""
_LOOKS_AT_ONCE = 8
# A batch of a hundred takes about a second: so many hold the first pace, and the paces to come.
_BATCHES_AT_ONCE = 8


class Store:
    """Typed calls to Cloud Storage, safe to share between threads.

    Every call retries what Cloud Storage calls transient, with exponential backoff, for two minutes; writes and
    deletes carry preconditions, so that a repeated one does no harm.
    """

    def __init__(self, client: Client, *, pacer: Callable[[], Pacer] = Pacer) -> None:
        """Use an existing client; `Store.open()` makes one.

        Args:
            client: Of google-cloud-storage.
            pacer: Makes what a bucket's deletes and copies are held to.
        """
        # Here and not above: a DAG is parsed without google.auth and requests.
        from cloudseg_ops.storage._transport import Transport

        self._client = client
        self._transport = Transport(client)
        self._make_pacer = pacer
        self._pacers: dict[str, Pacer] = {}
        # Its threads start when the first large object is read.
        self._ranges = ThreadPoolExecutor(RANGES_AT_ONCE, "range")

    @classmethod
    def open(cls, credentials: Any = None, *, connections: int = 32, pacer: Callable[[], Pacer] = Pacer) -> Store:
        """Connect with the environment's identity, or with `credentials` when given.

        `STORAGE_EMULATOR_HOST` leads to an emulator, without credentials.

        Args:
            credentials: google-auth credentials.
            connections: Connections kept open, one for each thread that calls; beyond that, one is opened for
                each request. Large reads in ranges keep some more.
            pacer: Makes what a bucket's deletes and copies are held to.
        """
        from google.cloud.storage import Client

        from cloudseg_ops.storage._transport import tune

        with translated("connect to Cloud Storage"):
            client = Client(credentials=credentials)
            tune(client, connections + RANGES_AT_ONCE)
        return cls(client, pacer=pacer)

    @property
    def project(self) -> str | None:
        """The project of the identity that calls; None where it names none."""
        return self._client.project or None

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
            # The reader finds out the size only for a live version: pin the one just seen.
            with (
                blob.open("rb", chunk_size=_STREAM_CHUNK) as stream,
                io.TextIOWrapper(stream, "utf-8") as text,
            ):
                for line in text:
                    yield line.rstrip("\n")

    def write(
        self,
        uri: GcsUri,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        if_generation_match: int | None = None,
    ) -> ObjectInfo:
        """Upload an object with its metadata in one request; above 8 MiB in a resumable session.

        Args:
            uri: Its address.
            data: Its bytes.
            content_type: Its media type.
            metadata: Its custom metadata.
            if_generation_match: Only if this is the present generation; 0: only if there is none.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        from cloudseg_ops.storage._uploads import MULTIPART_BYTES, upload, upload_in_session

        how: dict[str, Any] = {
            "content_type": content_type,
            "metadata": metadata or {},
            "if_generation_match": if_generation_match,
        }
        with translated(f"write {uri}"):
            if len(data) <= MULTIPART_BYTES:
                return upload(self._transport, uri, data, **how)
            return upload_in_session(self._bucket(uri).blob(uri.name), io.BytesIO(data), **how)

    def write_file(self, uri: GcsUri, path: Path, *, if_generation_match: int | None = None) -> ObjectInfo:
        """Upload a file.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        blob = self._bucket(uri).blob(uri.name, chunk_size=_STREAM_CHUNK)
        with translated(f"write {uri}"):
            blob.upload_from_filename(
                str(path), checksum="crc32c", retry=retry(), if_generation_match=if_generation_match
            )
        return info_of(blob)

    def write_lines(
        self,
        uri: GcsUri,
        lines: Iterable[str],
        *,
        content_type: str = LINES_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_generation_match: int | None = None,
    ) -> None:
        """Upload a text object line by line, in bounded memory; it appears whole or not at all.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        from cloudseg_ops.storage._uploads import upload_in_session

        # Not by the client's own stream writer, which uploads what it holds when it is garbage-collected, also after
        # it was refused or broken off.
        blob = self._bucket(uri).blob(uri.name, chunk_size=_STREAM_CHUNK)
        with translated(f"write {uri}"):
            upload_in_session(
                blob,
                cast("IO[bytes]", LineStream(lines)),
                content_type=content_type,
                metadata=metadata,
                if_generation_match=if_generation_match,
            )

    def copy(
        self,
        source: GcsUri,
        generation: int,
        target: GcsUri,
        *,
        metadata: Mapping[str, str],
        if_generation_match: int | None = None,
    ) -> None:
        """Copy exactly that generation within Cloud Storage, with new custom metadata.

        Raises:
            ObjectNotFoundError: That generation of the source is not there (any more).
            PreconditionFailedError: Another generation of the target is there.
        """
        origin = self._bucket(source).blob(source.name, generation=generation)
        blob = self._bucket(target).blob(target.name)
        blob.metadata = dict(metadata)
        token: str | None = None
        self._pacer(target.bucket).wait(1)
        with translated(f"copy {source}#{generation} to {target}"):
            while True:
                token, _, _ = blob.rewrite(origin, token=token, retry=retry(), if_generation_match=if_generation_match)
                if token is None:
                    return

    def delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[Deletion]:
        """Delete exactly these versions, at most 100 per request, within the rate limit of their bucket.

        Args:
            bucket: Their bucket.
            versions: Names and generations. A name whose present generation is another one stays.

        Returns:
            What became of each, in order.
        """
        rest = iter(versions)
        batches = iter(lambda: list(islice(rest, BATCH_SIZE)), [])
        pacer = self._pacer(bucket)

        def delete(batch: list[tuple[str, int]]) -> list[Deletion]:
            return delete_batch(self._client, bucket, batch, pacer)

        return [outcome for outcomes in in_order(delete, batches, at_once=_BATCHES_AT_ONCE) for outcome in outcomes]

    def create_bucket(self, name: str) -> None:
        """Make a bucket unless it exists: for laptops and tests alone."""
        with translated(f"create gs://{name}"):
            if self._client.lookup_bucket(name) is None:
                self._client.create_bucket(name)

    def _bucket(self, uri: GcsUri) -> Bucket:
        return self._client.bucket(uri.bucket)

    def _pacer(self, bucket: str) -> Pacer:
        # Atomic: of threads that come at once, all get the same one.
        return self._pacers.setdefault(bucket, self._make_pacer())
