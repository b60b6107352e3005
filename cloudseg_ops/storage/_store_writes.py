"""The store's calls that write: uploads, copies within Cloud Storage, and deletes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import retry, translated
from cloudseg_ops.storage._connection import STREAM_CHUNK, Connection
from cloudseg_ops.storage._deletes import delete_batch
from cloudseg_ops.storage._types import BATCH_SIZE, LINES_TYPE, Deletion, info_of
from cloudseg_ops.storage.concurrency import in_order

# A batch of a hundred takes about a second: so many hold the first pace, and the paces to come.
_BATCHES_AT_ONCE = 8


class WriteCalls(Connection):
    """Uploads, copies and deletes, all of which may carry preconditions."""

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
        blob = self._bucket(uri).blob(uri.name, chunk_size=STREAM_CHUNK)
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
        from cloudseg_ops.storage._uploads import LineStream, upload_in_session

        # Not by the client's own stream writer, which uploads what it holds when it is garbage-collected, also after
        # it was refused or broken off.
        blob = self._bucket(uri).blob(uri.name, chunk_size=STREAM_CHUNK)
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
        """Delete exactly these versions, at most 100 a request, at the pace of their bucket.

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
