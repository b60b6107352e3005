"""Reads the lines of a text object in bounded memory, each of them verified before it is returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import google_crc32c
from requests import Response

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage._calls import retry
from cloudseg_ops.storage._checksums import (
    MismatchError,
    encode_crc32c,
    header_crc32c,
    read_verified,
    require_stored_bytes,
    verify_value,
)
from cloudseg_ops.storage._reads import Reader, pieces_of
from cloudseg_ops.storage._transport import Transport


class LineReader:
    """Reads the lines of one version of an object.

    Cloud Storage has a checksum only for a whole object, but the lines of a list are acted upon before its end. An
    object of more than one piece is therefore read twice. The first pass verifies the checksum of the whole object, in
    one request, and keeps the CRC32C of each piece: four bytes for each MiB. The second pass downloads piece by piece,
    and returns the lines of a piece only if it has the CRC32C of the first pass. A piece or a pass that is corrupted is
    read again.

    Args:
        transport: Sends the requests.
        uri: The object.
        piece_bytes: Size of a piece.
        known_crc32c: Returns the checksum of a generation; called if the response does not include it.
    """

    def __init__(
        self, transport: Transport, uri: GcsUri, piece_bytes: int, known_crc32c: Callable[[int | None], str]
    ) -> None:
        self._transport = transport
        self._uri = uri
        self._piece_bytes = piece_bytes
        self._known_crc32c = known_crc32c

    def lines(self) -> Iterator[str]:
        """Yield the lines, without line endings.

        Raises:
            StorageError: The bytes do not match the checksum.
            ManifestError: They do, but are not UTF-8.
        """
        scan = read_verified(self._scan)
        rest = b""
        for number, crc32c in enumerate(scan.checksums):
            piece = scan.first if len(scan.checksums) == 1 else self._piece(scan, number, crc32c)
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(self._text, lines)
        if rest:
            yield self._text(rest)

    def _scan(self) -> _Scan:
        scan = _Scan(self._transport, self._uri, self._piece_bytes)
        retry()(scan.receive)()
        scan.end_piece()
        expected = scan.promised or self._known_crc32c(scan.generation)
        verify_value(self._uri, scan.size, encode_crc32c(scan.crc32c), expected)
        return scan

    def _piece(self, scan: _Scan, number: int, crc32c: int) -> bytes:
        start = number * self._piece_bytes
        end = min(start + self._piece_bytes, scan.size)

        def read() -> bytes:
            data = Reader(self._transport, self._uri, scan.generation).part(start, end)
            if google_crc32c.value(data) != crc32c:
                raise MismatchError(f"read {self._uri}: its bytes {start} to {end} do not have their CRC32C")
            return data

        return read_verified(read)

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{self._uri} is not UTF-8 text ({error}); only cloudseg may write this file: clear the task that "
                "writes it"
            ) from error


class _Scan:
    """The first pass: the checksums of an object and of its pieces."""

    def __init__(self, transport: Transport, uri: GcsUri, piece_bytes: int) -> None:
        self._transport = transport
        self._uri = uri
        self._piece_bytes = piece_bytes
        self._filled = 0
        self._piece_crc32c = 0
        self.generation: int | None = None
        self.size = 0
        self.crc32c = 0
        self.promised = ""
        self.checksums: list[int] = []
        """CRC32C of each piece."""
        self.first = b""
        """The first piece; the only one of a small object."""

    def receive(self) -> None:
        """Read from the current position to the end."""
        span = f"bytes={self.size}-" if self.size else None
        with Reader(self._transport, self._uri, self.generation).get(span, plain=True) as response:
            self._check(response)
            while data := next(pieces_of(response, self._piece_bytes - self._filled), b""):
                self._add(data)

    def _check(self, response: Response) -> None:
        require_stored_bytes(self._uri, response)
        if self.size and response.status_code != 206:
            raise MismatchError(f"read {self._uri}: the server does not resume a download")
        self.generation = self.generation or int(response.headers.get("X-Goog-Generation", 0)) or None
        self.promised = header_crc32c(response) or self.promised

    def _add(self, data: bytes) -> None:
        self.size += len(data)
        self.crc32c = google_crc32c.extend(self.crc32c, data)
        self._piece_crc32c = google_crc32c.extend(self._piece_crc32c, data)
        self._filled += len(data)
        if not self.checksums:
            self.first += data
        if self._filled == self._piece_bytes:
            self.end_piece()

    def end_piece(self) -> None:
        """Keep the checksum of the bytes since the previous piece, if there are any."""
        if self._filled:
            self.checksums.append(self._piece_crc32c)
            self._filled = self._piece_crc32c = 0
