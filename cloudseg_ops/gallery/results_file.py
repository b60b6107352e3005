"""Reads lines of a results file from a given byte, in pieces of bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.run_layout import RunLayout, image_key
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.gallery.errors import GalleryError
from cloudseg_ops.storage import ObjectInfo, Store

PIECE_BYTES = 256 * 1024
LONGEST_LINE = 32 * 1024
"""Maximum bytes of a line: a name has at most 1,024 bytes and occurs twice, and a reason has a few hundred."""


def lines_from(store: Store, results: ObjectInfo, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a results file with their offsets in bytes, holding one piece of the file in memory.

    Args:
        store: Cloud Storage.
        results: The file; exactly this version of it is read.
        offset: Offset of the first line, in bytes.

    Raises:
        ObjectNotFoundError: This version no longer exists, because a retry has rewritten the file.
        ManifestError: A line is longer than `LONGEST_LINE`.
    """
    uri = GcsUri(results.bucket, results.name)
    rest, at = b"", offset
    position = offset
    while position < results.size:
        end = min(position + PIECE_BYTES, results.size)
        piece = store.read_part(uri, position, end, generation=results.generation)
        position += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield at, line
            at += len(line) + 1
        if not piece:
            break
        if len(rest) > LONGEST_LINE:
            raise ManifestError(f"{uri}: the line at byte {at} is too long; clear the `segment` task of its chunk")
    if rest:
        yield at, rest


def read_result(store: Store, layout: RunLayout, chunk: int, offset: int, key: str) -> Result:
    """Read the result of one image.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        chunk: Index of the chunk.
        offset: Offset of the image's line, in bytes.
        key: The `image_key`, which shows whether a retry has moved the lines.

    Raises:
        GalleryError: The image is not at that offset.
    """
    moved = GalleryError(
        f"chunk {chunk} has no such image at this address, possibly because a retry has rewritten its results; open "
        "the gallery again"
    )
    try:
        line, _, _ = store.read_part(layout.results(chunk), offset, offset + LONGEST_LINE).partition(b"\n")
    except ObjectNotFoundError:
        raise moved from None
    result = parse_line(line)
    if result is None or image_key(result.source.name, result.source.generation) != key:
        raise moved
    return result


def parse_line(line: bytes) -> Result | None:
    """Parse a line; return None if it is not a result."""
    try:
        return Result.from_line(line.decode("utf-8"))
    except (ManifestError, UnicodeDecodeError):
        return None


# Numbers in Cloud Storage are 64-bit and have at most 19 digits.
_CURSOR = re.compile(r"([0-9]{1,5})-([0-9]{1,15})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The position of a line in a results file.

    Attributes:
        chunk: Index of the chunk.
        offset: Offset of the line in the results file, in bytes.
        generation: Version of the file, since a retry that rewrites it moves its lines; 0: any version.
    """

    chunk: int = 0
    offset: int = 0
    generation: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse the result of `str`; an empty text is the beginning.

        Raises:
            GalleryError: The text is not a cursor.
        """
        if not text:
            return cls()
        found = _CURSOR.fullmatch(text)
        if not found:
            raise GalleryError(f"{text[:40]!r} is not a position in the gallery; start from the first page")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.chunk}-{self.offset}-{self.generation}"
