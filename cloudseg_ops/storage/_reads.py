"""Downloads objects in one request or in concurrent ranges, and verifies their checksums."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from contextlib import contextmanager, suppress
from itertools import pairwise

from google.api_core.exceptions import RequestRangeNotSatisfiable
from requests import Response

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import response_error, retry
from cloudseg_ops.storage._checksums import (
    MismatchError,
    header_crc32c,
    read_verified,
    require_stored_bytes,
    verified_content,
    verify_crc32c,
)
from cloudseg_ops.storage._transport import Transport

_WHOLE_PIECE = 16 << 20
"""Bytes per read: smaller objects are read in one call, without copying."""
_RANGE_PIECE = 1 << 20
RANGED_BYTES = 8 << 20
"""Minimum size of objects that are read in ranges.

Measured at 30 ms and 50 MB/s per connection: 8 MiB take 115 ms in ranges of 4 MiB and 201 ms in one request; 32 MiB
take 125 and 779 ms. For smaller objects, the extra requests cost more CPU than the time saved is worth.
"""
RANGE_BYTES = 4 << 20
"""Approximate size of a range."""


class NotInRangesError(Exception):
    """The server does not support ranges for this object; it must be read whole."""


class Reader:
    """Downloads one version of an object.

    Args:
        transport: Sends the requests.
        uri: The object.
        generation: The version; None: the current one.
    """

    def __init__(self, transport: Transport, uri: GcsUri, generation: int | None) -> None:
        self._transport = transport
        self._uri = uri
        self._generation = generation
        self._call = transport.new_call()
        self.crc32c = ""
        """CRC32C of the stored bytes, once they have been read and verified."""

    def read(self, size: int | None, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download a large object in ranges if the server supports it, any other object in one request.

        If the bytes do not match their checksum, they are downloaded again.

        Args:
            size: Size of the version in bytes, if known.
            executor: Downloads ranges other than the first.
            known_crc32c: Returns the checksum of the stored bytes; called if the response does not include it.

        Raises:
            StorageError: The bytes do not match the checksum.
        """
        return read_verified(lambda: self._read_once(size, executor, known_crc32c))

    def _read_once(self, size: int | None, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        if self._generation and size and size >= RANGED_BYTES:
            with suppress(NotInRangesError):
                return self.in_ranges(size, executor, known_crc32c)
        return self.whole(known_crc32c)

    def whole(self, known_crc32c: Callable[[], str]) -> bytes:
        """Download in one request; resume after a broken connection.

        Args:
            known_crc32c: Returns the checksum of the stored bytes; called if the response does not include it.

        Raises:
            MismatchError: The bytes do not match the checksum.
            ContentEncodingError: They do, but are not in their Content-Encoding.
        """
        pieces: list[bytes] = []
        last: list[Response] = []

        def attempt() -> None:
            received = sum(map(len, pieces))
            with self.get(f"bytes={received}-" if received else None) as response:
                if response.status_code != 206:
                    pieces.clear()
                last[:] = [response]
                # Pin the generation, so that a resumed download does not continue with another version.
                self._generation = self._generation or int(response.headers.get("X-Goog-Generation", 0)) or None
                pieces.extend(pieces_of(response, _WHOLE_PIECE))

        retry()(attempt)()
        stored = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        crc32c = header_crc32c(last[0]) or known_crc32c()
        content = verified_content(self._uri, stored, last[0], crc32c)
        self.crc32c = crc32c
        return content

    def in_ranges(self, size: int, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download in concurrent ranges, the first of them in this thread.

        Args:
            size: Size of the version in bytes.
            executor: Downloads the other ranges.
            known_crc32c: Returns the checksum of the stored bytes; called if no response includes it.

        Raises:
            NotInRangesError: The server does not support ranges for this object.
            MismatchError: The bytes do not match the checksum.
        """
        count = -(-size // RANGE_BYTES)
        bounds = [size * index // count for index in range(count + 1)]
        # In CPython, `getvalue` returns the bytes that a BytesIO was created with, without copying.
        stream = io.BytesIO(bytes(size))
        with stream.getbuffer() as buffer:
            ranges = _Ranges(self, buffer, size)
            others = [executor.submit(ranges.fill, start, end) for start, end in pairwise(bounds[1:])]
            try:
                ranges.fill(bounds[0], bounds[1])
                for failed in wait(others, return_when=FIRST_EXCEPTION).done:
                    failed.result()
            finally:
                ranges.give_up(others)
        data = stream.getvalue()
        crc32c = ranges.crc32c or known_crc32c()
        verify_crc32c(self._uri, data, crc32c)
        self.crc32c = crc32c
        return data

    def part(self, start: int, end: int) -> bytes:
        """Download the bytes from `start` up to `end`, fewer if the object is shorter.

        If the part is the whole object, and the response includes its checksum, it is verified.

        Args:
            start: First byte, counted from 0.
            end: First byte that is not downloaded.

        Raises:
            StorageError: The object is stored compressed, and so cannot be read in parts.
        """

        def attempt() -> bytes:
            try:
                with self.get(f"bytes={start}-{end - 1}", plain=True) as response:
                    require_stored_bytes(self._uri, response)
                    if response.status_code != 206:
                        raise MismatchError(f"read {self._uri}: the response is not the requested part")
                    data = b"".join(pieces_of(response, _RANGE_PIECE))
            except RequestRangeNotSatisfiable:
                return b""
            crc32c = header_crc32c(response)
            if crc32c and response.headers.get("Content-Range") == f"bytes 0-{len(data) - 1}/{len(data)}":
                verify_crc32c(self._uri, data, crc32c)
            return data

        read: Callable[[], bytes] = retry()(attempt)
        return read_verified(read)

    @contextmanager
    def get(self, span: str | None, *, plain: bool = False) -> Iterator[Response]:
        """Request the object, or a range of it, and yield the response; close it at the end.

        Args:
            span: Value of the `Range` header; None: the whole object.
            plain: Whether the server must not compress the response.
        """
        url = self._transport.media_url(self._uri.bucket, self._uri.name, self._generation)
        headers = self._call if span is None else {**self._call, "Range": span}
        if plain:  # offsets into a compressed response would not be those of the object
            headers = {**headers, "Accept-Encoding": "identity"}
        with self._transport.send("GET", url, headers) as response:
            if response.status_code not in {200, 206}:
                raise response_error(response)
            yield response


class _Ranges:
    """Downloads the ranges of one object into a shared buffer."""

    def __init__(self, reader: Reader, buffer: memoryview, size: int) -> None:
        self._reader = reader
        self._buffer = buffer
        self._size = size
        self._over = False
        self.crc32c = ""
        """Checksum of the whole object, if a response included it."""

    def fill(self, start: int, end: int) -> None:
        """Download the bytes from `start` up to `end`; resume after a broken connection."""
        position = start

        def attempt() -> None:
            nonlocal position
            with self._reader.get(f"bytes={position}-{end - 1}") as response:
                self._check(response, position, end)
                for piece in pieces_of(response, _RANGE_PIECE):
                    if self._over:
                        raise NotInRangesError
                    self._buffer[position : position + len(piece)] = piece
                    position += len(piece)
            if position < end:
                raise ConnectionError(f"the response ended {end - position} bytes early")

        if not self._over:
            retry()(attempt)()

    def _check(self, response: Response, start: int, end: int) -> None:
        """Raise `NotInRangesError` unless the response is the requested range, uncompressed."""
        headers = response.headers
        span = f"bytes {start}-{end - 1}/{self._size}"
        if response.status_code != 206 or headers.get("Content-Range") != span or "Content-Encoding" in headers:
            raise NotInRangesError
        self.crc32c = self.crc32c or header_crc32c(response)

    def give_up(self, others: Sequence[Future[None]]) -> None:
        """Cancel ranges that have not started, and stop those that are running; no effect once all are done."""
        self._over = True
        for other in others:
            other.cancel()


def pieces_of(response: Response, size: int) -> Iterator[bytes]:
    """Yield the body of a response as it was sent."""
    while piece := response.raw.read(size, decode_content=False):
        yield piece
