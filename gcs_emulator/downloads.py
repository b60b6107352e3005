"""Serves an object's content, as a whole or as a byte range."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import IO, TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from .records import ObjectRecord
    from .store import Store

_SECURITY_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
"""Uploaded content is untrusted and may be opened in a browser. The sandbox denies it scripts, requests and an origin;
without it, an HTML page in a bucket could modify every bucket."""
_PIECE = 1 << 20
"""Bytes per read. Smaller contents are read whole, larger ones streamed; a thread would cost more than the read."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the end (exclusive) of a ``Range`` header; None for the whole object.

    A malformed header, or one with several ranges, is ignored, as RFC 9110 (14.2) allows.

    Raises:
        ApiError: 416 if the range does not overlap the object.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if last and first and int(last) < int(first):
        return None
    if start >= end:
        raise ApiError(416, f"The requested range cannot be satisfied: {header}.", {"Content-Range": f"bytes */{size}"})
    return start, end


async def _pieces(content: IO[bytes], start: int, end: int) -> AsyncIterator[bytes]:
    try:
        content.seek(start)
        while start < end:
            piece = content.read(min(_PIECE, end - start))
            start += len(piece)
            yield piece
    finally:
        content.close()


def download(store: Store, record: ObjectRecord, request: Request) -> Response:
    """Return the requested bytes of an object, with the headers that Cloud Storage sends.

    Args:
        store: The store that holds the object.
        record: The object.
        request: The request, which may have a ``Range`` header.

    Raises:
        ApiError: 416 if the range does not overlap the object.
    """
    hashes = f"crc32c={record.crc32c}" + (f",md5={record.md5}" if record.md5 else "")
    encoding = record.fields.get("contentEncoding")
    headers = {
        **_SECURITY_HEADERS,
        "Accept-Ranges": "bytes",
        "ETag": f'"{record.etag}"',
        "Last-Modified": formatdate(record.updated / 1_000_000, usegmt=True),
        "X-Goog-Hash": hashes,
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Storage-Class": record.fields.get("storageClass", "STANDARD"),
        "X-Goog-Stored-Content-Encoding": encoding or "identity",
        "X-Goog-Stored-Content-Length": str(record.size),
        "Content-Type": record.fields.get("contentType", "application/octet-stream"),
    }
    for key, header in (
        ("contentEncoding", "Content-Encoding"),
        ("cacheControl", "Cache-Control"),
        ("contentDisposition", "Content-Disposition"),
        ("contentLanguage", "Content-Language"),
    ):
        if key in record.fields:
            headers[header] = record.fields[key]
    span = byte_range(request.headers.get("range"), record.size)
    start, end = span or (0, record.size)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.size}"
    headers["Content-Length"] = str(end - start)
    status = 200 if span is None else 206
    content = store.open(record)
    if end - start > _PIECE:
        return StreamingResponse(_pieces(content, start, end), status_code=status, headers=headers)
    with content:
        content.seek(start)
        return Response(content.read(end - start), status_code=status, headers=headers)
