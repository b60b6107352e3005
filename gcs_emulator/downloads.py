"""The bytes of an object: whole or a range."""

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

_GUARDED = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
"""What a stranger has uploaded may be looked at in a browser. It runs no script, asks for nothing, and is of no origin:
else a page in a bucket could change every bucket."""
_PIECE = 1 << 20
"""Bytes of one read. What is no larger is read at once, the rest is streamed; a thread would cost more than a read."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the end (exclusive) of a ``Range``, or None for the whole.

    A header that is malformed or asks for several ranges is ignored, as RFC 9110 (14.2) allows.

    Raises:
        ApiError: 416 if nothing of the object lies in the range.
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
    """Return the bytes that a request asks for, with the headers that GCS sends."""
    hashes = f"crc32c={record.crc32c}" + (f",md5={record.md5}" if record.md5 else "")
    encoding = record.fields.get("contentEncoding")
    headers = {
        **_GUARDED,
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
