"""Downloads objects in one request or in concurrent ranges, and verifies their checksums."""

from __future__ import annotations

import base64
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from contextlib import contextmanager, suppress
from itertools import pairwise

import google_crc32c
from google.api_core.exceptions import RequestRangeNotSatisfiable, from_http_response
from requests import Response

from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import retry
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

    def read(self, size: int | None, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download a large object in ranges if the server supports it, any other object in one request.

        Args:
            size: Size of the version in bytes, if known.
            executor: Downloads ranges other than the first.
            known_crc32c: Returns the checksum of the stored bytes; called if the response does not include it.

        Raises:
            StorageError: The bytes do not match the checksum.
        """
        if self._generation and size and size >= RANGED_BYTES:
            with suppress(NotInRangesError):
                return self.in_ranges(size, executor, known_crc32c)
        return self.whole(known_crc32c)

    def whole(self, known_crc32c: Callable[[], str]) -> bytes:
        """Download in one request; resume after a broken connection.

        Args:
            known_crc32c: Returns the checksum of the stored bytes; called if the response does not include it.

        Raises:
            StorageError: The bytes do not match the checksum.
        """
        pieces: list[bytes] = []
        last: list[Response] = []

        def attempt() -> None:
            received = sum(map(len, pieces))
            with self._get(f"bytes={received}-" if received else None) as response:
                if response.status_code != 206:
                    pieces.clear()
                last[:] = [response]
                # Pin the generation, so that a resumed download does not continue with another version.
                self._generation = self._generation or int(response.headers.get("X-Goog-Generation", 0)) or None
                pieces.extend(_pieces(response, _WHOLE_PIECE))

        retry()(attempt)()
        stored = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return _verified_content(self._uri, stored, last[0], known_crc32c)

    def in_ranges(self, size: int, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download in concurrent ranges, the first of them in this thread.

        Args:
            size: Size of the version in bytes.
            executor: Downloads the other ranges.
            known_crc32c: Returns the checksum of the stored bytes; called if no response includes it.

        Raises:
            NotInRangesError: The server does not support ranges for this object.
            StorageError: The bytes do not match the checksum.
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
        _verify_crc32c(self._uri, data, ranges.crc32c or known_crc32c())
        return data

    def part(self, start: int, end: int) -> bytes:
        """Download the bytes from `start` up to `end`, fewer if the object is shorter, without verifying a checksum.

        Args:
            start: First byte, counted from 0.
            end: First byte that is not downloaded.

        Raises:
            StorageError: The object is stored compressed, and so cannot be read in parts.
        """

        def attempt() -> bytes:
            try:
                with self._get(f"bytes={start}-{end - 1}", plain=True) as response:
                    if response.status_code != 206 or "Content-Encoding" in response.headers:
                        raise StorageError(
                            f"read {self._uri}: it is stored with a Content-Encoding, and so cannot be read in parts"
                        )
                    return b"".join(_pieces(response, _RANGE_PIECE))
            except RequestRangeNotSatisfiable:
                return b""

        received: bytes = retry()(attempt)()
        return received

    @contextmanager
    def _get(self, span: str | None, *, plain: bool = False) -> Iterator[Response]:
        url = self._transport.media_url(self._uri.bucket, self._uri.name, self._generation)
        headers = self._call if span is None else {**self._call, "Range": span}
        if plain:  # offsets into a compressed response would not be those of the object
            headers = {**headers, "Accept-Encoding": "identity"}
        with self._transport.send("GET", url, headers) as response:
            if response.status_code not in {200, 206}:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
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
            with self._reader._get(f"bytes={position}-{end - 1}") as response:
                self._check(response, position, end)
                for piece in _pieces(response, _RANGE_PIECE):
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
        self.crc32c = self.crc32c or _header_crc32c(response)

    def give_up(self, others: Sequence[Future[None]]) -> None:
        """Cancel ranges that have not started, and stop those that are running; no effect once all are done."""
        self._over = True
        for other in others:
            other.cancel()


def _pieces(response: Response, size: int) -> Iterator[bytes]:
    while piece := response.raw.read(size, decode_content=False):
        yield piece


def _header_crc32c(response: Response) -> str:
    """Return the CRC32C of the whole stored object from a response; empty if the response does not include it."""
    hashes = response.headers.get("X-Goog-Hash", "").split(",")
    return next((item.strip().removeprefix("crc32c=") for item in hashes if item.strip().startswith("crc32c=")), "")


def _verified_content(uri: GcsUri, received: bytes, response: Response, known_crc32c: Callable[[], str]) -> bytes:
    """Verify the checksum, which is of the stored bytes, and return the decompressed content."""
    crc32c = _header_crc32c(response) or known_crc32c()
    if response.headers.get("Content-Encoding") != "gzip":
        _verify_crc32c(uri, received, crc32c)
        return received
    compressed_in_transit = response.headers.get("X-Goog-Stored-Content-Encoding", "gzip") != "gzip"
    if not compressed_in_transit:
        _verify_crc32c(uri, received, crc32c)
    try:
        content = gzip.decompress(received)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(
            f"read {uri}: its Content-Encoding is gzip, but its bytes are not ({error}); upload it again"
        ) from error
    if compressed_in_transit:
        _verify_crc32c(uri, content, crc32c)
    return content


def _verify_crc32c(uri: GcsUri, data: bytes, crc32c: str) -> None:
    actual = crc32c_of(data)
    if actual != crc32c:
        raise StorageError(
            f"read {uri}: its {len(data)} bytes have the CRC32C {actual}, not {crc32c}: they were corrupted in transit "
            "or in storage; try again, and if that does not help, upload the object again"
        )


def crc32c_of(data: bytes) -> str:
    """Return the CRC32C of bytes in the format of Cloud Storage: big-endian, base64."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
