"""Uploads streams in resumable sessions (cloud.google.com/storage/docs/performing-resumable-uploads)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO

import google_crc32c
from google.api_core.exceptions import NotFound, ServiceUnavailable
from requests import Response

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.objects import ObjectInfo
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import response_error, retry
from cloudseg_ops.storage._checksums import encode_crc32c
from cloudseg_ops.storage._json_calls import parsed
from cloudseg_ops.storage._transport import Transport
from cloudseg_ops.storage._types import info_from

_RANGE = re.compile(r"bytes=0-(\d+)")
_INCOMPLETE = 308


def upload_in_session(
    transport: Transport,
    uri: GcsUri,
    stream: IO[bytes],
    *,
    piece_bytes: int,
    content_type: str,
    metadata: Mapping[str, str],
    if_generation_match: int | None,
) -> ObjectInfo:
    """Upload a stream of unknown size in a resumable session, from its current position.

    If the last response is lost or broken, the session is asked for its state and has the finished upload, where any
    other upload would fail its precondition. An unfinished session creates no object, and expires within a week.

    Args:
        transport: Sends the requests.
        uri: The object.
        stream: Its content.
        piece_bytes: Bytes per request, a multiple of 256 KiB; held in memory.
        content_type: Its media type.
        metadata: Its custom metadata.
        if_generation_match: Write only if this is the current generation; 0: only if the object does not exist.
    """
    resource = {"name": uri.name, "contentType": content_type, "metadata": dict(metadata)}
    session = _Session(transport, uri, resource, if_generation_match)
    piece = stream.read(piece_bytes)
    while len(piece) == piece_bytes:
        session.send(piece, last=False)
        piece = stream.read(piece_bytes)
    return session.send(piece, last=True)


class _Session:
    """A resumable session, and how much of the object it has stored."""

    def __init__(
        self, transport: Transport, uri: GcsUri, resource: Mapping[str, object], if_generation_match: int | None
    ) -> None:
        self._transport = transport
        self._uri = uri
        self._begin = 0
        self._stored = 0
        self._crc32c = 0
        self._unsure = False
        """Whether the number of stored bytes is unknown, because a response was lost."""
        body = json.dumps(resource).encode()
        headers = {**transport.new_call(), "Content-Type": "application/json; charset=UTF-8"}
        headers["X-Upload-Content-Type"] = str(resource["contentType"])
        url = transport.upload_url(uri.bucket, "resumable", if_generation_match)

        def start() -> str:
            with transport.send("POST", url, headers, body) as response:
                if response.status_code not in {200, 201}:
                    raise response_error(response)
                if "Location" not in response.headers:
                    raise ServiceUnavailable("the response names no session")  # type: ignore[no-untyped-call]
                return response.headers["Location"]

        self._url: str = retry()(start)()
        self._headers = transport.new_call()

    def send(self, piece: bytes, *, last: bool) -> ObjectInfo:
        """Upload the next piece, with retries.

        Args:
            piece: The bytes that follow those sent so far.
            last: Whether the object ends with it.

        Returns:
            The metadata of the object after the last piece; undefined before.
        """
        self._begin = self._stored
        self._crc32c = google_crc32c.extend(self._crc32c, piece)
        end = self._begin + len(piece)
        total = str(end) if last else "*"

        def attempt() -> ObjectInfo | None:
            info = self._ask() if self._unsure else None
            while info is None and (self._stored < end or last):
                info = self._put(piece, end, total)
            return info

        info: ObjectInfo | None = retry()(attempt)()
        return info  # type: ignore[return-value]

    def _put(self, piece: bytes, end: int, total: str) -> ObjectInfo | None:
        rest = piece[self._stored - self._begin :]
        span = f"bytes {self._stored}-{end - 1}/{total}" if rest else f"bytes */{total}"
        headers = {"Content-Range": span}
        if total != "*":
            headers["X-Goog-Hash"] = f"crc32c={encode_crc32c(self._crc32c)}"
        before = self._stored
        info = self._request(headers, rest)
        if info is None and self._stored == before:
            raise ServiceUnavailable("the session stored nothing")  # type: ignore[no-untyped-call]
        return info

    def _ask(self) -> ObjectInfo | None:
        return self._request({"Content-Range": "bytes */*"}, b"")

    def _request(self, headers: Mapping[str, str], body: bytes) -> ObjectInfo | None:
        """Send a request to the session; return the metadata of the object if the upload is finished."""
        self._unsure = True
        with self._transport.send("PUT", self._url, {**self._headers, **headers}, body) as response:
            if response.status_code == _INCOMPLETE:
                self._stored = self._stored_in(response)
                self._unsure = False
                return None
            if response.status_code not in {200, 201}:
                raise self._failure(response)
            return parsed(response, lambda answer: info_from(self._uri.bucket, answer))

    def _stored_in(self, response: Response) -> int:
        found = _RANGE.fullmatch(response.headers.get("Range", ""))
        stored = int(found[1]) + 1 if found else 0
        if stored < self._begin:
            raise StorageError(f"write {self._uri}: the upload session lost bytes {stored} to {self._begin}; try again")
        return stored

    def _failure(self, response: Response) -> Exception:
        error = response_error(response)
        if isinstance(error, NotFound):
            # Not the object: it does not exist yet.
            return StorageError(f"write {self._uri}: the upload session has expired; try again")
        return error
