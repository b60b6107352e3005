"""CRC32C of downloads: computed, promised by responses, and compared."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable
from typing import TypeVar

import google_crc32c
from requests import Response

from cloudseg_ops.contracts.errors import ContentEncodingError, StorageError
from cloudseg_ops.contracts.uris import GcsUri

READS = 3
"""Number of times that an object is read before its bytes count as corrupted."""
_Read = TypeVar("_Read")


class MismatchError(Exception):
    """Downloaded bytes do not match their checksum."""


def read_verified(read: Callable[[], _Read]) -> _Read:
    """Call a function that downloads and verifies, up to three times while it raises `MismatchError`.

    Raises:
        StorageError: The bytes never matched their checksum.
    """
    for tries_left in reversed(range(READS)):
        try:
            return read()
        except MismatchError as error:
            if not tries_left:
                raise StorageError(
                    f"{error}, in each of {READS} reads: they are corrupted in storage or on the way; if a later try "
                    "finds the same, write the object again"
                ) from error
    raise AssertionError("unreachable")


def crc32c_of(data: bytes) -> str:
    """Return the CRC32C of bytes in the format of Cloud Storage: big-endian, base64."""
    return encode_crc32c(google_crc32c.value(data))


def encode_crc32c(value: int) -> str:
    """Return a CRC32C in the format of Cloud Storage."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def header_crc32c(response: Response) -> str:
    """Return the CRC32C of the whole stored object from a response; empty if the response does not include it."""
    hashes = response.headers.get("X-Goog-Hash", "").split(",")
    return next((item.strip().removeprefix("crc32c=") for item in hashes if item.strip().startswith("crc32c=")), "")


def require_stored_bytes(uri: GcsUri, response: Response) -> None:
    """Check that a response has the stored bytes, and that offsets in it are those of the object.

    Raises:
        MismatchError: It claims a Content-Encoding that the object does not have; another response may be right.
        StorageError: The object is stored compressed.
    """
    if "Content-Encoding" not in response.headers:
        return
    if response.headers.get("X-Goog-Stored-Content-Encoding") == "identity":
        raise MismatchError(f"read {uri}: the response has a Content-Encoding that the object does not have")
    raise StorageError(f"read {uri}: it is stored with a Content-Encoding, and so cannot be read in parts")


def verify_crc32c(uri: GcsUri, data: bytes, crc32c: str) -> None:
    """Verify the checksum of an object.

    Raises:
        MismatchError: The checksum is another one.
    """
    verify_value(uri, len(data), crc32c_of(data), crc32c)


def verify_value(uri: GcsUri, size: int, actual: str, expected: str) -> None:
    """Verify a checksum that was computed while the object was read, as `verify_crc32c` does."""
    if actual != expected:
        raise MismatchError(f"read {uri}: its {size} bytes have the CRC32C {actual}, not {expected}")


def verified_content(uri: GcsUri, received: bytes, response: Response, crc32c: str) -> bytes:
    """Verify the checksum, which is of the stored bytes, and return the decompressed content.

    Args:
        uri: The object.
        received: The bytes of the response.
        response: The response, for its headers.
        crc32c: CRC32C of the stored bytes.

    Raises:
        MismatchError: The checksum is another one.
        ContentEncodingError: The stored bytes are intact, but not in their Content-Encoding.
    """
    if response.headers.get("Content-Encoding") != "gzip":
        verify_crc32c(uri, received, crc32c)
        return received
    stored_as = response.headers.get("X-Goog-Stored-Content-Encoding")
    compressed_in_transit = stored_as not in ("gzip", None)
    if not compressed_in_transit:
        verify_crc32c(uri, received, crc32c)
    try:
        content = gzip.decompress(received)
    except (OSError, EOFError, zlib.error) as error:
        if stored_as != "gzip":
            # Only Cloud Storage's own header proves that the object, and not this response, claims the encoding.
            raise MismatchError(f"read {uri}: the response is not in its Content-Encoding ({error})") from error
        reason = f"its Content-Encoding is gzip, but its bytes are not ({error}); upload it again without that header"
        raise ContentEncodingError(f"read {uri}: {reason}", reason) from error
    if compressed_in_transit:
        verify_crc32c(uri, content, crc32c)
    return content
