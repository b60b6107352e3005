"""Uploads of small objects: bytes, metadata and checksum in one request."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from google.api_core.exceptions import from_http_response

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import retry
from cloudseg_ops.storage._reads import crc32c_of
from cloudseg_ops.storage._transport import Transport
from cloudseg_ops.storage._types import info_from, info_of

if TYPE_CHECKING:
    from google.cloud.storage import Blob

MULTIPART_BYTES = 8 << 20
"""Above this, google-cloud-storage uploads in a resumable session, and so does the store."""


def upload(
    transport: Transport,
    uri: GcsUri,
    data: bytes,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    if_generation_match: int | None,
) -> ObjectInfo:
    """Upload an object with its metadata in one request, repeated where that may help.

    Its checksum goes with it: Cloud Storage refuses bytes that do not have it
    (cloud.google.com/storage/docs/data-validation).
    """
    resource = {"name": uri.name, "metadata": dict(metadata), "crc32c": crc32c_of(data)}
    body, kind = _related(resource, data, content_type)
    headers = {**transport.new_call(), "Content-Type": kind, "Accept": "application/json"}
    url = transport.upload_url(uri.bucket, if_generation_match)

    def attempt() -> dict[str, Any]:
        with transport.send("POST", url, headers, body) as response:
            if response.status_code != 200:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            answer: dict[str, Any] = json.loads(response.content)
            return answer

    return info_from(uri.bucket, retry()(attempt)())


def upload_in_session(
    blob: Blob,
    stream: IO[bytes],
    *,
    content_type: str | None,
    metadata: Mapping[str, str] | None = None,
    if_generation_match: int | None,
) -> ObjectInfo:
    """Upload a stream of unknown size from its current position, in a resumable session.

    The only kind of upload that, repeated after a lost answer, finds out that it was done, instead of a generation
    that it did not expect. A session that is never finished makes no object, and ends within a week.
    """
    blob.metadata = dict(metadata or {})
    blob.upload_from_file(
        stream,
        content_type=content_type,
        checksum="crc32c",
        retry=retry(),
        if_generation_match=if_generation_match,
    )
    return info_of(blob)


def _related(resource: Mapping[str, Any], data: bytes, content_type: str) -> tuple[bytes, str]:
    """Lay out resource and bytes as multipart/related (RFC 2387); return the body and its content type."""
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
        f"--{boundary}\r\ncontent-type: {content_type}\r\n\r\n"
    )
    return b"".join([head.encode(), data, f"\r\n--{boundary}--".encode()]), f'multipart/related; boundary="{boundary}"'
