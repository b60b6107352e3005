"""Lines of a results file from any byte on, a piece of it at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import GalleryError, ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.run_layout import RunLayout, image_key
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import ObjectInfo, Store

PIECE_BYTES = 256 * 1024
LONGEST_LINE = 32 * 1024
"""A name has at most 1,024 bytes and stands in a line twice, a reason at most a few hundred."""


def lines_from(store: Store, results: ObjectInfo, offset: int) -> Iterator[tuple[int, bytes]]:
    """Stream the lines of a results file with the bytes before each, one piece of it in memory.

    Args:
        store: Cloud Storage.
        results: The file, whose present version is read and no other one.
        offset: Where a line begins.

    Raises:
        ObjectNotFoundError: The version is gone: a retry has rewritten the file.
        ManifestError: A line is longer than any of cloudseg's.
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
            raise ManifestError(f"{uri}: the line at byte {at} never ends; clear the `segment` task of its chunk")
    if rest:
        yield at, rest


def read_result(store: Store, layout: RunLayout, chunk: int, offset: int, key: str) -> Result:
    """Read the result of one image.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        chunk: Its chunk.
        offset: Bytes before its line.
        key: Its `image_key`: by it alone an image is known again after a retry has moved the lines.

    Raises:
        GalleryError: There is no such image in that place.
    """
    moved = GalleryError(
        f"chunk {chunk} has no such image there (any more): a retry may have rewritten its results. Open the "
        "gallery again"
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
    """Read a line; None when it is not a result."""
    try:
        return Result.from_line(line.decode("utf-8"))
    except (ManifestError, UnicodeDecodeError):
        return None


# Generations and offsets have at most 19 digits: more would be no number of Cloud Storage's.
_CURSOR = re.compile(r"([0-9]{1,5})-([0-9]{1,15})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A line of a results file.

    Attributes:
        chunk: Index of the chunk.
        offset: Bytes of its results file before the line.
        generation: Version of that file, because its lines move when a retry rewrites it; 0: any.
    """

    chunk: int = 0
    offset: int = 0
    generation: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote; nothing is the beginning.

        Raises:
            GalleryError: It is no such place.
        """
        if not text:
            return cls()
        found = _CURSOR.fullmatch(text)
        if not found:
            raise GalleryError(f"{text[:40]!r} is not a place in a gallery; begin at its first page")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.chunk}-{self.offset}-{self.generation}"
