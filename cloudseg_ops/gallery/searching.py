"""Finds the images of one page, reading only a bounded amount of data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.run_layout import image_key
from cloudseg_ops.gallery.filters import Filter
from cloudseg_ops.gallery.overview import ChunkFile, Overview
from cloudseg_ops.gallery.results_file import Cursor, lines_from, parse_line
from cloudseg_ops.report.reading import safe_result
from cloudseg_ops.report.verdict import counted
from cloudseg_ops.storage import Store

PAGE_IMAGES = 24
MAX_LINES = 25_000
"""Maximum number of lines that one request reads: a second's work."""
MAX_BYTES = 16 * 1024 * 1024
"""Maximum number of bytes that one request reads; each name may have 1,024."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An image on a page.

    Attributes:
        chunk: Index of its chunk.
        offset: Offset of its line in the chunk's results file, in bytes.
        key: The `image_key`.
        result: The image's result, safe to write as UTF-8.
    """

    chunk: int
    offset: int
    key: str
    result: Result


@dataclass(slots=True)
class Found:
    """The result of a search.

    Attributes:
        entries: The page's images, in the order of chunks and lines.
        searched: Number of lines read.
        read: Number of bytes in these lines.
        following: Where the next page begins; None: this is the last page.
        notes: Notes for the user, as whole sentences.
    """

    entries: list[Entry] = field(default_factory=list)
    searched: int = 0
    read: int = 0
    following: Cursor | None = None
    notes: list[str] = field(default_factory=list)


def find_images(
    store: Store,
    overview: Overview,
    wanted: Filter,
    start: Cursor,
    *,
    page: int = PAGE_IMAGES,
    max_lines: int = MAX_LINES,
) -> Found:
    """Find the images of a page, in constant memory.

    The search ends when the page is full, or after `max_lines` or `MAX_BYTES`; `following` then says where to
    continue.

    Args:
        store: Cloud Storage.
        overview: The run's chunks and results files.
        wanted: The filter.
        start: Where the page begins.
        page: Maximum number of images on the page.
        max_lines: Maximum number of lines to read.

    Raises:
        StorageError: Cloud Storage failed.
    """
    found = Found()
    for chunk in _chunks_from(overview, wanted, start):
        offset = _offset_in(chunk, start, found)
        try:
            if _search(store, chunk, offset, wanted, found, page=page, max_lines=max_lines):
                return found
        except ObjectNotFoundError:
            found.notes.append(f"The results of chunk {chunk.index} are being rewritten; load the page again.")
        except ManifestError as error:
            found.notes.append(f"Chunk {chunk.index}: {error}.")
    return found


def _chunks_from(overview: Overview, wanted: Filter, start: Cursor) -> Iterator[ChunkFile]:
    return (
        chunk
        for chunk in overview.chunks
        if chunk.results and chunk.index >= start.chunk and wanted.chunk in (None, chunk.index)
    )


def _offset_in(chunk: ChunkFile, start: Cursor, found: Found) -> int:
    if chunk.index != start.chunk or not start.offset:
        return 0
    if chunk.results and start.generation in (0, chunk.results.generation):
        return start.offset
    found.notes.append(
        f"The results of chunk {chunk.index} were rewritten since the previous page; it is shown from its beginning."
    )
    return 0


def _search(
    store: Store, chunk: ChunkFile, offset: int, wanted: Filter, found: Found, *, page: int, max_lines: int
) -> bool:
    """Search a chunk from an offset on, and return whether the page ends in it."""
    if chunk.results is None:
        return False
    damaged = 0
    for at, line in lines_from(store, chunk.results, offset):
        if len(found.entries) == page or found.searched == max_lines or found.read > MAX_BYTES:
            found.following = Cursor(chunk.index, at, chunk.results.generation)
            break
        found.searched += 1
        found.read += len(line)
        if not wanted.may_match(line):
            continue
        result = parse_line(line)
        if result is None:
            damaged += 1
            continue
        result = safe_result(result)
        if wanted.takes(result):
            key = image_key(result.source.name, result.source.generation)
            found.entries.append(Entry(chunk.index, at, key, result))
    if damaged:
        found.notes.append(
            f"The results of chunk {chunk.index} have {counted(damaged, 'invalid line')}; clear its `segment` task."
        )
    return found.following is not None
