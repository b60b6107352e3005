"""Downloads whose bytes are compared with their checksum: in one request, or in ranges at once."""

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
"""What is no larger is read at once, straight into the bytes that are returned."""
_RANGE_PIECE = 1 << 20
RANGED_BYTES = 8 << 20
"""From this size on, an object is read in ranges.

Measured at 30 ms and 50 MB/s a connection: 8 MiB take 115 ms in ranges of 4 MiB, 201 ms in one request; 32 MiB take 125
and 779 ms. Below, the requests cost more CPU than the wait is worth where many images are under way anyway.
"""
RANGE_BYTES = 4 << 20
"""About what one of several ranges holds."""


class NotInRangesError(Exception):
    """The server does not give this object in ranges of its bytes: it must be read whole."""


class Reader:
    """Downloads of one version of an object.

    Args:
        transport: Sends the requests.
        uri: The object.
        generation: The version; None: the present one.
    """

    def __init__(self, transport: Transport, uri: GcsUri, generation: int | None) -> None:
        self._transport = transport
        self._uri = uri
        self._generation = generation
        self._call = transport.new_call()

    def read(self, size: int | None, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download in ranges what is worth it and can be had so, else in one request.

        Args:
            size: Bytes of the version, where known.
            executor: As for `in_ranges`.
            known_crc32c: Tells the checksum of the stored bytes, should the answer not.

        Raises:
            StorageError: The bytes are not those of the checksum.
        """
        if self._generation and size and size >= RANGED_BYTES:
            with suppress(NotInRangesError):
                return self.in_ranges(size, executor, known_crc32c)
        return self.whole(known_crc32c)

    def whole(self, known_crc32c: Callable[[], str]) -> bytes:
        """Download in one request; after a broken connection, go on where it stopped.

        Args:
            known_crc32c: Tells the checksum of the stored bytes, should the answer not.

        Raises:
            StorageError: The bytes are not those of the checksum.
        """
        pieces: list[bytes] = []
        last: list[Response] = []

        def attempt() -> None:
            received = sum(map(len, pieces))
            with self._get(f"bytes={received}-" if received else None) as response:
                if response.status_code != 206:
                    pieces.clear()
                last[:] = [response]
                # A version that was not asked for by number must not be continued with another one's bytes.
                self._generation = self._generation or int(response.headers.get("X-Goog-Generation", 0)) or None
                pieces.extend(_pieces(response, _WHOLE_PIECE))

        retry()(attempt)()
        stored = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return _checked(self._uri, stored, last[0], known_crc32c)

    def in_ranges(self, size: int, executor: Executor, known_crc32c: Callable[[], str]) -> bytes:
        """Download in ranges at once, the first of them in this thread.

        Args:
            size: Bytes of the version.
            executor: Runs the others.
            known_crc32c: As above.

        Raises:
            NotInRangesError: It cannot be had so.
            StorageError: The bytes are not those of the checksum.
        """
        count = -(-size // RANGE_BYTES)
        borders = [size * index // count for index in range(count + 1)]
        # In CPython, a BytesIO hands out the bytes that it was filled in without another copy.
        stream = io.BytesIO(bytes(size))
        with stream.getbuffer() as buffer:
            ranges = _Ranges(self, buffer, size)
            others = [executor.submit(ranges.fill, start, end) for start, end in pairwise(borders[1:])]
            try:
                ranges.fill(borders[0], borders[1])
                for failed in wait(others, return_when=FIRST_EXCEPTION).done:
                    failed.result()
            finally:
                ranges.give_up(others)
        data = stream.getvalue()
        _compare(self._uri, data, ranges.crc32c or known_crc32c())
        return data

    def part(self, start: int, end: int) -> bytes:
        """Download the bytes from `start` to before `end`, fewer where the object ends; no checksum is of a part alone.

        Raises:
            StorageError: The server gives no parts of this object.
        """

        def attempt() -> bytes:
            try:
                with self._get(f"bytes={start}-{end - 1}", plain=True) as response:
                    if response.status_code != 206 or "Content-Encoding" in response.headers:
                        raise StorageError(f"read {self._uri}: it is stored packed, and cannot be read in parts")
                    return b"".join(_pieces(response, _RANGE_PIECE))
            except RequestRangeNotSatisfiable:
                return b""

        received: bytes = retry()(attempt)()
        return received

    @contextmanager
    def _get(self, span: str | None, *, plain: bool = False) -> Iterator[Response]:
        url = self._transport.media_url(self._uri.bucket, self._uri.name, self._generation)
        headers = self._call if span is None else {**self._call, "Range": span}
        if plain:  # a packed answer could not be cut where the object is to be
            headers = {**headers, "Accept-Encoding": "identity"}
        with self._transport.send("GET", url, headers) as response:
            if response.status_code not in {200, 206}:
                raise from_http_response(response)  # type: ignore[no-untyped-call]
            yield response


class _Ranges:
    """The ranges of one download on their way into one buffer."""

    def __init__(self, reader: Reader, buffer: memoryview, size: int) -> None:
        self._reader = reader
        self._buffer = buffer
        self._size = size
        self._over = False
        self.crc32c = ""
        """Checksum of the whole, when an answer told it."""

    def fill(self, start: int, end: int) -> None:
        """Download the bytes from `start` to before `end`; after a broken connection, go on where it stopped."""
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
                raise ConnectionError(f"the answer ended {end - position} bytes early")

        if not self._over:
            retry()(attempt)()

    def _check(self, response: Response, start: int, end: int) -> None:
        """Hold an answer against what was asked: a range of compressed bytes is none of the object's."""
        told = response.headers
        span = f"bytes {start}-{end - 1}/{self._size}"
        if response.status_code != 206 or told.get("Content-Range") != span or "Content-Encoding" in told:
            raise NotInRangesError
        self.crc32c = self.crc32c or _promised(response)

    def give_up(self, others: Sequence[Future[None]]) -> None:
        """Keep what has not begun from beginning, and what runs from writing; nothing, when all is done."""
        self._over = True
        for other in others:
            other.cancel()


def _pieces(response: Response, size: int) -> Iterator[bytes]:
    while piece := response.raw.read(size, decode_content=False):
        yield piece


def _promised(response: Response) -> str:
    """Give the CRC32C that an answer promises for the whole stored object; empty when it promises none."""
    hashes = response.headers.get("X-Goog-Hash", "").split(",")
    return next((item.strip().removeprefix("crc32c=") for item in hashes if item.strip().startswith("crc32c=")), "")


def _checked(uri: GcsUri, received: bytes, response: Response, known_crc32c: Callable[[], str]) -> bytes:
    """Compare what was received with its checksum, which is of the bytes as they are stored, and unpack it."""
    crc32c = _promised(response) or known_crc32c()
    if response.headers.get("Content-Encoding") != "gzip":
        _compare(uri, received, crc32c)
        return received
    packed_on_the_way = response.headers.get("X-Goog-Stored-Content-Encoding", "gzip") != "gzip"
    if not packed_on_the_way:
        _compare(uri, received, crc32c)
    try:
        content = gzip.decompress(received)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"read {uri}: its Content-Encoding is gzip, and its bytes are not ({error})") from error
    if packed_on_the_way:
        _compare(uri, content, crc32c)
    return content


def _compare(uri: GcsUri, data: bytes, crc32c: str) -> None:
    actual = crc32c_of(data)
    if actual != crc32c:
        raise StorageError(
            f"read {uri}: its {len(data)} bytes have the CRC32C {actual}, not {crc32c}: they were damaged on the way "
            "or where they lie; try again, and upload it again if that does not help"
        )


def crc32c_of(data: bytes) -> str:
    """Checksum of bytes as Cloud Storage tells it: big-endian, base64."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
