"""Uploads small objects in one request, and encodes lines for larger ones."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import response_error, retry
from cloudseg_ops.storage._checksums import crc32c_of
from cloudseg_ops.storage._json_calls import parsed
from cloudseg_ops.storage._transport import Transport
from cloudseg_ops.storage._types import info_from

MULTIPART_BYTES = 8 << 20
"""Maximum size of an upload in one request; above it, the store uses a resumable session, as the client does."""


def upload(
    transport: Transport,
    uri: GcsUri,
    data: bytes,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    if_generation_match: int | None,
) -> ObjectInfo:
    """Upload an object with its metadata in one request, with retries.

    The request includes the checksum, so Cloud Storage rejects corrupted data
    (cloud.google.com/storage/docs/data-validation).

    Args:
        transport: Sends the requests.
        uri: The object.
        data: Its content.
        content_type: Its media type.
        metadata: Its custom metadata.
        if_generation_match: Write only if this is the current generation; 0: only if the object does not exist.
    """
    resource = {"name": uri.name, "metadata": dict(metadata), "crc32c": crc32c_of(data)}
    body, kind = _related(resource, data, content_type)
    headers = {**transport.new_call(), "Content-Type": kind, "Accept": "application/json"}
    url = transport.upload_url(uri.bucket, "multipart", if_generation_match)

    def attempt() -> ObjectInfo:
        with transport.send("POST", url, headers, body) as response:
            if response.status_code != 200:
                raise response_error(response)
            return parsed(response, lambda answer: info_from(uri.bucket, answer))

    info: ObjectInfo = retry()(attempt)()
    return info


def _related(resource: Mapping[str, Any], data: bytes, content_type: str) -> tuple[bytes, str]:
    """Encode resource and data as multipart/related (RFC 2387); return the body and its content type."""
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
        f"--{boundary}\r\ncontent-type: {content_type}\r\n\r\n"
    )
    return b"".join([head.encode(), data, f"\r\n--{boundary}--".encode()]), f'multipart/related; boundary="{boundary}"'


class LineStream(io.RawIOBase):
    """A binary stream of lines in UTF-8, each with a line ending.

    Buffers one read and the rest of a line. It cannot be rewound, which `upload_in_session` does not need: it keeps the
    piece that it may have to send again.

    Args:
        lines: The lines, without line endings.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self._lines = iter(lines)
        self._rest = bytearray()
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes read so far."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read exactly `size` bytes, fewer only at the end; -1: all."""
        rest = self._rest
        while size < 0 or len(rest) < size:
            line = next(self._lines, None)
            if line is None:
                break
            rest += line.encode()
            rest += b"\n"
        taken = bytes(rest[:size]) if size >= 0 else bytes(rest)
        del rest[: len(taken)]
        self._position += len(taken)
        return taken
