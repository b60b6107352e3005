"""The store's write calls: uploads, copies within Cloud Storage, and deletes."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import translated
from cloudseg_ops.storage._connection import STREAM_CHUNK, Connection
from cloudseg_ops.storage._deletes import delete_batch, raise_refusal
from cloudseg_ops.storage._types import BATCH_SIZE, LINES_TYPE, DeleteResult, Deletion
from cloudseg_ops.storage.concurrency import in_order

# A batch of a hundred takes about a second: this many keep up with the initial rate limit and its increase.
_BATCHES_AT_ONCE = 8


class WriteCalls(Connection):
    """Uploads, copies and deletes, all of which support preconditions."""

    def write(
        self,
        uri: GcsUri,
        data: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        if_generation_match: int | None = None,
    ) -> ObjectInfo:
        """Upload an object with its metadata in one request; above 8 MiB, in a resumable session.

        Args:
            uri: The object.
            data: Its content.
            content_type: Its media type.
            metadata: Its custom metadata.
            if_generation_match: Write only if this is the current generation; 0: only if the object does not exist.

        Returns:
            The metadata of the new object.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        from cloudseg_ops.storage._sessions import upload_in_session
        from cloudseg_ops.storage._uploads import MULTIPART_BYTES, upload

        how: dict[str, Any] = {
            "content_type": content_type,
            "metadata": metadata or {},
            "if_generation_match": if_generation_match,
        }
        with translated(f"write {uri}"):
            if len(data) <= MULTIPART_BYTES:
                return upload(self._transport, uri, data, **how)
            return upload_in_session(self._transport, uri, io.BytesIO(data), piece_bytes=MULTIPART_BYTES, **how)

    def write_file(self, uri: GcsUri, path: Path, *, if_generation_match: int | None = None) -> ObjectInfo:
        """Upload a file.

        Args:
            uri: The object.
            path: The file.
            if_generation_match: Write only if this is the current generation; 0: only if the object does not exist.

        Returns:
            The metadata of the new object.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        from cloudseg_ops.storage._sessions import upload_in_session
        from cloudseg_ops.storage._uploads import MULTIPART_BYTES

        with translated(f"write {uri}"), path.open("rb") as stream:
            return upload_in_session(
                self._transport,
                uri,
                stream,
                piece_bytes=MULTIPART_BYTES,
                content_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
                metadata={},
                if_generation_match=if_generation_match,
            )

    def write_lines(
        self,
        uri: GcsUri,
        lines: Iterable[str],
        *,
        content_type: str = LINES_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_generation_match: int | None = None,
    ) -> None:
        """Upload a text object line by line, in bounded memory; the object is created atomically.

        Args:
            uri: The object.
            lines: Its lines, without line endings.
            content_type: Its media type.
            metadata: Its custom metadata.
            if_generation_match: Write only if this is the current generation; 0: only if the object does not exist.

        Raises:
            PreconditionFailedError: The object has another generation.
        """
        from cloudseg_ops.storage._sessions import upload_in_session
        from cloudseg_ops.storage._uploads import LineStream

        with translated(f"write {uri}"):
            upload_in_session(
                self._transport,
                uri,
                cast("IO[bytes]", LineStream(lines)),
                piece_bytes=STREAM_CHUNK,
                content_type=content_type,
                metadata=metadata or {},
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
        """Copy one generation of an object within Cloud Storage, with new custom metadata.

        Args:
            source: The object to copy.
            generation: The generation to copy.
            target: The object to write.
            metadata: Its custom metadata.
            if_generation_match: Write only if this is the target's current generation; 0: only if it does not exist.

        Raises:
            ObjectNotFoundError: That generation of the source does not exist (any more).
            PreconditionFailedError: The target has another generation.
        """
        from cloudseg_ops.storage._json_calls import call_json

        path = f"{_path(source)}/rewriteTo/b{_path(target)}"
        resource = {"name": target.name, "metadata": dict(metadata)}
        query: dict[str, Any] = {"sourceGeneration": generation, "ifGenerationMatch": if_generation_match}
        self._pacer(target.bucket).wait(1)
        with translated(f"copy {source}#{generation} to {target}"):
            # Large copies between locations or storage classes take several calls.
            while token := call_json(self._transport, "POST", path, query, _rewrite_token, resource=resource):
                query["rewriteToken"] = token

    def try_delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[DeleteResult]:
        """Delete exactly these versions, at most 100 per request, within the bucket's rate limit.

        A delete that is refused, because of a hold for example, has that as its outcome; all others are carried out.

        Args:
            bucket: Name of the bucket.
            versions: Names and generations. An object whose current generation is another one is not deleted.

        Returns:
            The result of each delete, in order.

        Raises:
            StorageError: Cloud Storage did not accept a whole request.
        """
        rest = iter(versions)
        batches = iter(lambda: list(islice(rest, BATCH_SIZE)), [])
        pacer = self._pacer(bucket)

        def delete(batch: list[tuple[str, int]]) -> list[DeleteResult]:
            return delete_batch(self._client, bucket, batch, pacer)

        return [result for results in in_order(delete, batches, at_once=_BATCHES_AT_ONCE) for result in results]

    def delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[Deletion]:
        """Delete exactly these versions, like `try_delete_many`, and then raise if a delete was refused.

        Args:
            bucket: Name of the bucket.
            versions: Names and generations. An object whose current generation is another one is not deleted.

        Returns:
            The outcome of each delete, in order.

        Raises:
            PermissionDeniedError: A delete was refused; all others were carried out.
            StorageError: A delete failed, or Cloud Storage did not accept a whole request.
        """
        results = self.try_delete_many(bucket, versions)
        raise_refusal(bucket, results)
        return [result.outcome for result in results]


def _path(uri: GcsUri) -> str:
    return f"/{quote(uri.bucket, safe='')}/o/{quote(uri.name, safe='')}"


def _rewrite_token(answer: Mapping[str, Any]) -> str | None:
    """Return the token with which a copy continues; None if it is done."""
    if answer["done"]:
        return None
    return str(answer["rewriteToken"])
