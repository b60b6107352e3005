"""The storage seam: the one module that knows google-cloud-storage.

Everything that reads or writes a bucket goes through `Store`, so that preconditions, retries and the translation of
errors stand in one place.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cloudseg_ops.errors import (
    BucketNotFoundError,
    ObjectNotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    StorageError,
)
from cloudseg_ops.uris import GcsUri

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket, Client

PAGE_SIZE = 1000  # the most that one page of a listing holds: cloud.google.com/storage/docs/json_api/v1/objects/list
BATCH_SIZE = 100  # the most calls of one batch request: cloud.google.com/storage/docs/batch
_FIELDS = "items(name,generation,size,crc32c,md5Hash,updated,metadata),nextPageToken"
_STREAM_CHUNK = 1024 * 1024
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What Cloud Storage tells of an object.

    Attributes:
        bucket: Its bucket.
        name: Its name.
        generation: Its version number.
        size: Bytes.
        crc32c: CRC32C of the bytes, base64.
        md5: MD5 of the bytes, base64; empty for composed objects.
        updated: When it or its metadata last changed; timezone-aware.
        metadata: Custom metadata.
    """

    bucket: str
    name: str
    generation: int
    size: int
    crc32c: str
    md5: str
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class Deletion(StrEnum):
    """What became of one delete."""

    DELETED = "deleted"
    GONE = "gone"
    """It was not there (any more)."""
    CHANGED = "changed"
    """Another generation has the name; nothing was deleted."""


class Store:
    """Typed calls to Cloud Storage, safe to share between threads.

    Every call retries what Cloud Storage calls transient, with exponential backoff, for two minutes; writes and
    deletes carry preconditions, so that a repeated one does no harm.
    """

    def __init__(self, client: Client) -> None:
        """Use an existing client; `Store.open()` makes one."""
        self._client = client

    @classmethod
    def open(cls, credentials: Any = None, *, connections: int = 16) -> Store:
        """Connect with the environment's identity, or with `credentials` when given.

        `STORAGE_EMULATOR_HOST` leads to an emulator, without credentials.

        Args:
            credentials: google-auth credentials.
            connections: Most connections at once; more threads than that wait for one another.
        """
        from google.cloud.storage import Client
        from requests.adapters import HTTPAdapter

        with _translated("connect to Cloud Storage"):
            client = Client(credentials=credentials)
        for scheme in ("http://", "https://"):
            client._http.mount(scheme, HTTPAdapter(pool_maxsize=connections))
        return cls(client)

    def list_objects(self, folder: GcsUri, *, start: str | None = None, end: str | None = None) -> Iterator[ObjectInfo]:
        """Stream the objects whose names begin with `folder.name`, in the order of their UTF-8 bytes.

        Args:
            folder: Bucket and prefix.
            start: Only names from this one on.
            end: Only names before this one.

        Raises:
            BucketNotFoundError: There is no such bucket.
        """
        with _translated(f"list {folder}", bucket_only=True):
            for blob in self._client.list_blobs(
                folder.bucket,
                prefix=folder.name or None,
                start_offset=start,
                end_offset=end,
                page_size=PAGE_SIZE,
                fields=_FIELDS,
            ):
                yield _info(blob)

    def stat(self, uri: GcsUri) -> ObjectInfo | None:
        """Describe an object; None when there is none of that name."""
        with _translated(f"look at {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
        return _info(blob) if blob else None

    def stat_many(self, bucket: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
        """Describe those of `names` that exist, with few requests.

        New inputs tend to lie next to each other, and so do their masks: a listing of the range between the
        first and the last name finds a thousand a request. Where other objects lie in between, it stops
        before it costs more than asking for each name, and asks for the rest.
        """
        wanted = sorted(set(names), key=str.encode)
        found: dict[str, ObjectInfo] = {}
        if not wanted:
            return found
        budget = PAGE_SIZE * max(1, len(wanted) // BATCH_SIZE)
        listed = islice(self.list_objects(GcsUri(bucket), start=wanted[0], end=wanted[-1] + "\0"), budget)
        remaining = set(wanted)
        seen = 0
        last = ""
        for info in listed:
            seen += 1
            last = info.name
            if info.name in remaining:
                remaining.discard(info.name)
                found[info.name] = info
        if seen == budget:
            for name in sorted(name for name in remaining if name.encode() > last.encode()):
                if info_or_none := self.stat(GcsUri(bucket, name)):
                    found[name] = info_or_none
        return found

    def read(self, uri: GcsUri, *, generation: int | None = None) -> bytes:
        """Download an object, or exactly that generation of it; the client compares its checksum.

        Raises:
            ObjectNotFoundError: It, or that generation, is not there.
        """
        blob = self._bucket(uri).blob(uri.name, generation=generation)
        with _translated(f"read {uri}" + (f"#{generation}" if generation else "")):
            return cast("bytes", blob.download_as_bytes())

    def read_lines(self, uri: GcsUri) -> Iterator[str]:
        """Stream the lines of a text object, without their line ends; memory does not grow with its size.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        with _translated(f"read {uri}"):
            blob = self._bucket(uri).get_blob(uri.name)
            if blob is None:
                raise ObjectNotFoundError(f"read {uri}: there is no such object")
            # The reader finds out the size by itself only for a live version: pin the one just seen.
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
        """Upload an object with its metadata in one request.

        Args:
            uri: Its address.
            data: Its bytes.
            content_type: Its media type.
            metadata: Its custom metadata.
            if_generation_match: Only if this is the present generation; 0: only if there is none.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        blob = self._bucket(uri).blob(uri.name)
        blob.metadata = dict(metadata or {})
        with _translated(f"write {uri}"):
            blob.upload_from_string(
                data,
                content_type=content_type,
                checksum="crc32c",
                retry=_retry(),
                if_generation_match=if_generation_match,
            )
        return _info(blob)

    def write_file(self, uri: GcsUri, path: Path, *, if_generation_match: int | None = None) -> ObjectInfo:
        """Upload a file.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        blob = self._bucket(uri).blob(uri.name, chunk_size=_STREAM_CHUNK)
        with _translated(f"write {uri}"):
            blob.upload_from_filename(
                str(path), checksum="crc32c", retry=_retry(), if_generation_match=if_generation_match
            )
        return _info(blob)

    def write_lines(
        self,
        uri: GcsUri,
        lines: Iterable[str],
        *,
        content_type: str = "application/jsonl",
        if_generation_match: int | None = None,
    ) -> None:
        """Upload a text object line by line, in bounded memory; it appears whole or not at all.

        Raises:
            PreconditionFailedError: Another generation is there.
        """
        # By way of a file: the client's own stream writer uploads what it holds when it is garbage-collected, also
        # after it was refused or broken off.
        with tempfile.TemporaryFile() as stream:
            for line in lines:
                stream.write(line.encode() + b"\n")
            blob = self._bucket(uri).blob(uri.name, chunk_size=_STREAM_CHUNK)
            with _translated(f"write {uri}"):
                # Without its size, it goes up in a resumable session: the only kind of upload that, repeated after
                # a lost answer, finds out that it was done, instead of a generation that it did not expect.
                blob.upload_from_file(
                    stream,
                    rewind=True,
                    content_type=content_type,
                    checksum="crc32c",
                    retry=_retry(),
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
        with _translated(f"copy {source}#{generation} to {target}"):
            while True:
                token, _, _ = blob.rewrite(origin, token=token, retry=_retry(), if_generation_match=if_generation_match)
                if token is None:
                    return

    def delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[Deletion]:
        """Delete exactly these versions, at most 100 a request.

        Args:
            bucket: Their bucket.
            versions: Names and generations. A name whose present generation is another one stays.

        Returns:
            What became of each, in order.
        """
        outcomes: list[Deletion] = []
        rest = iter(versions)
        while batch := list(islice(rest, BATCH_SIZE)):
            outcomes += self._delete_batch(bucket, batch)
        return outcomes

    def _delete_batch(self, bucket: str, versions: Sequence[tuple[str, int]]) -> list[Deletion]:
        from google.api_core.exceptions import ServiceUnavailable, from_http_response

        outcomes: dict[int, Deletion] = {}

        def attempt() -> None:
            pending = [index for index in range(len(versions)) if index not in outcomes]
            handle = self._client.bucket(bucket)
            with self._client.batch(raise_exception=False) as request:
                for index in pending:
                    name, generation = versions[index]
                    handle.blob(name).delete(if_generation_match=generation)
            for index, response in zip(pending, request._responses, strict=True):
                if response.status_code in _TRANSIENT:
                    continue
                if response.status_code not in _DELETIONS:
                    raise from_http_response(response)  # type: ignore[no-untyped-call]
                outcomes[index] = _DELETIONS[response.status_code]
            if len(outcomes) < len(versions):
                raise ServiceUnavailable(  # type: ignore[no-untyped-call]
                    f"{len(versions) - len(outcomes)} of {len(versions)} deletes were put off"
                )

        with _translated(f"delete {len(versions)} objects of gs://{bucket}"):
            _retry()(attempt)()
        return [outcomes[index] for index in range(len(versions))]

    def create_bucket(self, name: str) -> None:
        """Make a bucket unless it exists: for laptops and tests alone."""
        with _translated(f"create gs://{name}"):
            if self._client.lookup_bucket(name) is None:
                self._client.create_bucket(name)

    def _bucket(self, uri: GcsUri) -> Bucket:
        return self._client.bucket(uri.bucket)


_DELETIONS = {
    200: Deletion.DELETED,
    204: Deletion.DELETED,
    404: Deletion.GONE,
    412: Deletion.CHANGED,
}


def _retry() -> Any:
    # Safe for every call here: each is a read, carries a generation, or writes the same bytes again.
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY


def _info(blob: Blob) -> ObjectInfo:
    return ObjectInfo(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation),
        size=int(blob.size or 0),
        crc32c=blob.crc32c or "",
        md5=blob.md5_hash or "",
        updated=blob.updated,
        metadata=blob.metadata or {},
    )


# A 404 does not say by any field whether the bucket or the object is missing, only by this sentence.
_NO_BUCKET = "specified bucket does not exist"


@contextlib.contextmanager
def _translated(doing: str, *, bucket_only: bool = False) -> Iterator[None]:
    """Turn the client's errors into cloudseg's, which say what was being done and what to do next."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import InvalidResponse
    from requests.exceptions import RequestException

    try:
        try:
            yield
        except InvalidResponse as error:
            # Uploads in several requests raise this for a bare status instead of the client's own classes.
            status, text = error.response.status_code, error.response.text
            raise exceptions.from_http_status(status, text) from error  # type: ignore[no-untyped-call]
    except exceptions.NotFound as error:
        if bucket_only or _NO_BUCKET in error.message.lower():
            raise BucketNotFoundError(
                f"{doing}: there is no such bucket; create it, or correct the CLOUDSEG_*_BUCKET variables"
            ) from error
        raise ObjectNotFoundError(f"{doing}: it is not there") from error
    except exceptions.PreconditionFailed as error:
        raise PreconditionFailedError(f"{doing}: another generation is there by now") from error
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise PermissionDeniedError(
            f"{doing}: refused ({error}); give the identity that runs this the roles of docs/architecture.md"
        ) from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, RequestException) as error:
        raise StorageError(f"{doing}: {type(error).__name__}: {error}; try again later") from error
