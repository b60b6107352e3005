"""Makes the bands of a TIFF readable for Pillow, which knows only grey, RGB and CMYK.

A directory is appended to the file that describes the same bytes as a grey image: of `bands` times the width if the
samples of a pixel are stored together, or of one page per band if bands are stored separately. So Pillow decompresses
any number of bands of any depth. It must not undo the horizontal predictor, which depends on the number of bands.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.tiff_pages import TiffPage, describe

Data = bytes | bytearray

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS = 256, 257, 258, 259, 262, 266, 273
_ORIENTATION, _BANDS, _ROWS, _STRIP_BYTES, _PREDICTOR = 274, 277, 278, 279, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _SAMPLE_FORMAT = 322, 323, 324, 325, 339
_COPIED = (_HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _TILE_HEIGHT)
_PIECES = (_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES)
_READABLE_COMPRESSIONS = {1, 5, 8, 32773, 32946, 34925, 50000}
"""None, LZW, Deflate (two numbers), PackBits, LZMA, ZSTD: those that see bytes, not pixels."""
_HORIZONTAL = 2
_BLACK_IS_ZERO = 1
_FLOAT = 3
_WANTED = {_WIDTH, _BITS, _PHOTOMETRIC, _BANDS, _ORIENTATION, _PREDICTOR, _TILE_WIDTH, *_COPIED, *_PIECES}
_MOST_ENTRIES = 1000
_MOST_VALUES = 1_000_000
# Codes of struct by the type of a value: BYTE, SHORT, LONG, LONG8.
_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}

Tags = Mapping[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class GreyPages:
    """A TIFF that was made readable.

    Attributes:
        data: The file, with the added directories.
        together: Number of bands that one page holds.
        page: The header of the page that it was made from.
        orientation: Its orientation, 1 to 8, which Pillow does not see.
        predicted: Length in pixels within which each value is stored as the difference to its left neighbor; 0: none.
    """

    data: bytes
    together: int
    page: TiffPage
    orientation: int
    predicted: int

    def restored(self, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the pixels of a page that Pillow has read, shape (height, width, bands).

        Args:
            stored: Shape (height, width × bands).
        """
        page = self.page
        kind = "f" if page.sample_format == _FLOAT else "u" if page.sample_format == 1 else "i"
        pixels = stored.astype(np.dtype(f"{kind}{page.bits // 8}"), copy=False)
        pixels = pixels.reshape(page.height, page.width, self.together)
        if not self.predicted:
            return pixels
        starts = range(0, page.width, self.predicted)
        parts = [np.cumsum(pixels[:, start : start + self.predicted], axis=1, dtype=pixels.dtype) for start in starts]
        return np.concatenate(parts, axis=1)


def grey_pages(data: Data, index: int, page: TiffPage) -> GreyPages:
    """Make the bands of a page readable.

    Args:
        data: The file.
        index: Index of the page, from 0.
        page: Its header.

    Raises:
        BadImageError: The page cannot be read; the message says why.
    """
    if data[:4] == b"MM\0+":
        raise BadImageError("a big-endian BigTIFF, which cannot be read; convert it with gdal_translate")
    try:
        tags = _tags(data, index)
    except struct.error:
        raise BadImageError("the file is broken or truncated (a TIFF directory outside of the file)") from None
    predictor = _first(tags, _PREDICTOR, 1)
    if reason := _refuse(page, predictor):
        raise BadImageError(f"a TIFF image with {describe(page)}: {reason}")
    pages = page.bands if page.planar else 1
    together = 1 if page.planar else page.bands
    offset, appended = len(data) + len(data) % 2, b""
    for band in range(pages):
        appended += _directory(
            data, _grey(tags, page, together, (band, pages)), offset + len(appended), last=band + 1 == pages
        )
    big = data[2:4] == b"+\0"
    head = data[:8] + _pack(data, "Q", offset) if big else data[:4] + _pack(data, "I", offset)
    return GreyPages(
        bytes(head) + bytes(data[len(head) :]) + bytes(len(data) % 2) + appended,
        together,
        page,
        _first(tags, _ORIENTATION, 1),
        0 if predictor != _HORIZONTAL else _first(tags, _TILE_WIDTH, page.width),
    )


def _refuse(page: TiffPage, predictor: int) -> str | None:
    is_float = page.sample_format == _FLOAT
    rules = (
        (page.compression not in _READABLE_COMPRESSIONS, f"compression {page.compression} cannot be read with bands"),
        (page.sample_format > _FLOAT, "only integers and floating-point numbers can be read"),
        (
            page.bits not in ((32,) if is_float else (8, 16, 32)),
            "bands can be read with 8, 16 or 32 bits, floats with 32",
        ),
        (page.bits == 8 and page.sample_format != 1, "8 bits can be read only if unsigned"),
        (predictor > _HORIZONTAL or (is_float and predictor != 1), f"predictor {predictor} cannot be read with bands"),
        (page.width * page.height == 0, "it has no pixels"),
    )
    return next((reason for refused, reason in rules if refused), None)


def _grey(tags: Tags, page: TiffPage, together: int, part: tuple[int, int]) -> dict[int, Sequence[int]]:
    """Return the tags of a grey page with the data of one of several equal parts of the strips or tiles."""
    found = {tag: tags[tag] for tag in _COPIED if tag in tags}
    found |= {_BITS: [page.bits], _PHOTOMETRIC: [_BLACK_IS_ZERO], _BANDS: [1], _SAMPLE_FORMAT: [page.sample_format]}
    found[_WIDTH] = [page.width * together]
    if _TILE_WIDTH in tags:
        found[_TILE_WIDTH] = [tags[_TILE_WIDTH][0] * together]
    index, parts = part
    for tag in _PIECES:
        if tag in tags:
            each = len(tags[tag]) // parts
            found[tag] = tags[tag][index * each : (index + 1) * each]
    return found


def _directory(data: Data, tags: Tags, at: int, *, last: bool) -> bytes:
    """Return a directory and its values, to be placed at an offset of the file; the next one follows directly."""
    big = data[2:4] == b"+\0"
    kind, code, count, room, entry = (16, "Q", "Q", 8, 20) if big else (4, "I", "H", 4, 12)
    size = struct.calcsize("=" + count) + entry * len(tags) + room
    values = b""
    body = _pack(data, count, len(tags))
    for tag, numbers in sorted(tags.items()):
        packed = _pack(data, f"{len(numbers)}{code}", *numbers)
        if len(packed) > room:
            packed, values = _pack(data, code, at + size + len(values)), values + packed
        body += _pack(data, "HH", tag, kind) + _pack(data, code, len(numbers)) + packed
    following = at + size + len(values)
    return body + _pack(data, code, 0 if last else following) + values


def _tags(data: Data, index: int) -> dict[int, Sequence[int]]:
    """Return the tags of a page that say where and how its pixels are stored."""
    big = data[2:4] == b"+\0"
    pointer, count, entry, head = ("Q", "Q", 20, 8) if big else ("I", "H", 12, 2)
    (offset,) = _unpack(data, pointer, 8 if big else 4)
    for _ in range(index + 1):
        (entries,) = _unpack(data, count, offset)
        if entries > _MOST_ENTRIES:
            raise struct.error("too many entries")
        here = offset + head
        (offset,) = _unpack(data, pointer, here + entries * entry)
    tags: dict[int, Sequence[int]] = {}
    for at in range(here, here + entries * entry, entry):
        tag, kind, number = _unpack(data, "HH" + pointer, at)
        if tag in _WANTED and kind in _CODES:
            if number > _MOST_VALUES:
                raise struct.error("too many values")
            layout = f"{number}{_CODES[kind]}"
            place = at + 4 + struct.calcsize("=" + pointer)
            if number * struct.calcsize("=" + _CODES[kind]) > struct.calcsize("=" + pointer):
                (place,) = _unpack(data, pointer, place)
            tags[tag] = _unpack(data, layout, place)
    return tags


def _first(tags: Tags, tag: int, default: int) -> int:
    return next(iter(tags.get(tag, ())), default)


def _pack(data: Data, layout: str, *values: int) -> bytes:
    return struct.pack(("<" if data[:2] == b"II" else ">") + layout, *values)


def _unpack(data: Data, layout: str, offset: int) -> tuple[Any, ...]:
    if offset > len(data):  # struct accepts no offset above the largest ssize_t
        raise struct.error("outside of the file")
    return struct.unpack_from(("<" if data[:2] == b"II" else ">") + layout, data, offset)
