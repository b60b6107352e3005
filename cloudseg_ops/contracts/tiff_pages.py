"""Reads the headers of a TIFF's pages: which page is the photograph, and what Pillow cannot read correctly.

Pillow opens the first page, says only "unknown pixel mode" of pages that it cannot read, and reads some incorrectly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Data = bytes | bytearray

MOST_PAGES = 100
"""Pages that are read; a file with more is not one photograph."""
_MOST_ENTRIES = 1000
_MOST_VALUES = 64
_MOST_SUB_PAGES = 8

_REDUCED, _MASK = 1, 4
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _TRANSPARENCY = 0, 1, 4
_UNREADABLE_COMPRESSIONS = {34712: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL"}
_SENSOR = (32803, 34892)  # color filter array, linear raw

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_BANDS, _PLANAR, _SUB_PAGES, _SAMPLE_FORMAT, _DEPTH, _DNG_VERSION = 277, 284, 330, 339, 32997, 50706
_WANTED = frozenset({
    _SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _BANDS, _PLANAR, _SUB_PAGES,
    _SAMPLE_FORMAT, _DEPTH, _DNG_VERSION,
})  # fmt: skip
# Codes of struct by the type of a value: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class TiffPage:
    """The header of a page.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        bands: Number of bands (samples per pixel).
        bits: Bits per sample; the largest, if bands differ.
        sample_format: 1 unsigned, 2 signed, 3 floating-point, 5 and 6 complex.
        photometric: Photometric interpretation; 0 if white is zero.
        compression: Compression; 1 for none.
        planar: Whether bands are stored in separate planes.
        secondary: Whether the page is a reduced copy or a mask of another one.
        depth: Number of slices; more than 1 in a volume.
        is_raw: Whether it, or a page below it, holds a camera sensor's values.
    """

    width: int
    height: int
    bands: int
    bits: int
    sample_format: int
    photometric: int
    compression: int
    planar: bool
    secondary: bool
    depth: int
    is_raw: bool


def read_pages(data: Data) -> list[TiffPage]:
    """Return the headers of a TIFF's pages, up to `MOST_PAGES`; fewer if the file is broken.

    Args:
        data: A TIFF or BigTIFF of either byte order.
    """
    pages: list[TiffPage] = []
    try:
        reader = _Reader(data)
        pages.extend(_page(reader, tags) for tags in reader.chain())
    except struct.error:  # an offset outside of the file: Pillow reports what is broken
        pass
    return pages


def photograph_page(pages: list[TiffPage]) -> int | None:
    """Return the index of the only page that is not a reduced copy or a mask of another; None if there are several."""
    if len(pages) == 1:
        return 0
    full = [index for index, page in enumerate(pages) if not page.secondary]
    return full[0] if len(full) == 1 and len(pages) < MOST_PAGES else None


def describe(page: TiffPage) -> str:
    """Return what a page holds: `13 bands of 16 bits`."""
    kind = {_UNSIGNED: "", _SIGNED: " (signed)", _FLOAT: " (floating-point)", 5: " (complex)", 6: " (complex)"}
    bands = "1 band" if page.bands == 1 else f"{page.bands} bands"
    bits = "1 bit" if page.bits == 1 else f"{page.bits} bits"
    return f"{bands} of {bits}{kind.get(page.sample_format, '')}"


def misread(page: TiffPage) -> str | None:
    """Return why Pillow would read a page incorrectly, or with an unspecific error; None if it would not."""
    if page.compression in _UNREADABLE_COMPRESSIONS:
        return f"{_UNREADABLE_COMPRESSIONS[page.compression]} compression, which cannot be read"
    if page.depth > 1:
        return f"a volume of {page.depth} slices, of which only the first would be read"
    if page.planar and page.bands > 1 and page.bits > 8 and page.compression == 1:
        rule = _broken_rule(page) or "separate planes without compression can be read only with 8 bits"
        return f"{describe(page)}: {rule}"
    if page.photometric == _WHITE_IS_ZERO and page.bits > 8:
        return f"{describe(page)}, in which 0 is white: this can be read only with 8 bits"
    if page.sample_format == _SIGNED and page.bits == 8:
        return f"{describe(page)}: 8 bits can be read only if unsigned"
    return None


def unreadable(page: TiffPage) -> str:
    """Return what a page that Pillow cannot open holds, and what could be read."""
    if page.compression in _UNREADABLE_COMPRESSIONS:
        return str(misread(page))
    other = f"compression {page.compression} with photometric interpretation {page.photometric} cannot be read"
    return f"{describe(page)}: {_broken_rule(page) or other}"


def _broken_rule(page: TiffPage) -> str | None:
    is_float, several = page.sample_format == _FLOAT, page.bands > 1
    rules = (
        (page.sample_format > _FLOAT, "only integers and floating-point numbers can be read"),
        (page.bands not in (1, 3, 4), "only 1, 3 or 4 bands can be read"),
        (is_float and (several or page.bits != 32), "floating-point numbers can be read only as 1 band of 32 bits"),
        (
            several and (page.bits not in (8, 16) or page.sample_format == _SIGNED),
            "several bands can be read only with 8 or 16 bits, unsigned",
        ),
        (
            several and page.photometric <= _BLACK_IS_ZERO,
            "several bands can be read only if the file says that they are red, green and blue",
        ),
        (page.bits > 32, "integers can be read only with at most 32 bits"),
    )
    return next((rule for broken, rule in rules if broken), None)


def _page(reader: _Reader, tags: Mapping[int, tuple[int, ...]]) -> TiffPage:
    def first(tag: int, default: int) -> int:
        return next(iter(tags.get(tag, ())), default)

    photometric = first(_PHOTOMETRIC, _WHITE_IS_ZERO)
    below = (
        reader.page_tags(offset)[0].get(_PHOTOMETRIC, (0,)) for offset in tags.get(_SUB_PAGES, ())[:_MOST_SUB_PAGES]
    )
    return TiffPage(
        width=first(_WIDTH, 0),
        height=first(_HEIGHT, 0),
        bands=first(_BANDS, 1),
        bits=max(tags.get(_BITS, ()), default=1),
        sample_format=max(tags.get(_SAMPLE_FORMAT, ()), default=_UNSIGNED),
        photometric=photometric,
        compression=first(_COMPRESSION, 1),
        planar=first(_PLANAR, 1) == 2,
        secondary=bool(first(_SUBFILE, 0) & (_REDUCED | _MASK))
        or first(_OLD_SUBFILE, 1) == 2
        or photometric == _TRANSPARENCY,
        depth=first(_DEPTH, 1),
        is_raw=photometric in _SENSOR or _DNG_VERSION in tags or any(set(values) & set(_SENSOR) for values in below),
    )


class _Reader:
    """Reads the directories of a TIFF (IFDs); `struct.error` means that an offset is outside of the file."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")

    def chain(self) -> Iterator[dict[int, tuple[int, ...]]]:
        """Yield the tags of each page, in the file's order."""
        (offset,) = self._unpack("Q", 8) if self._big else self._unpack("I", 4)
        seen: set[int] = set()
        while offset and offset not in seen and len(seen) < MOST_PAGES:
            seen.add(offset)
            tags, offset = self.page_tags(offset)
            yield tags

    def page_tags(self, offset: int) -> tuple[dict[int, tuple[int, ...]], int]:
        """Return the wanted tags of the page at an offset, and the offset of the next page; 0: there is none."""
        (count,) = self._unpack("Q" if self._big else "H", offset)
        if count > _MOST_ENTRIES:
            raise struct.error("too many entries")
        first, size = (offset + 8, 20) if self._big else (offset + 2, 12)
        tags: dict[int, tuple[int, ...]] = {}
        for entry in range(first, first + count * size, size):
            tag, kind, number = self._unpack("HHQ" if self._big else "HHI", entry)
            if tag in _WANTED and kind in _CODES:
                tags[tag] = self._values(entry, _CODES[kind], number)
        (following,) = self._unpack("Q" if self._big else "I", first + count * size)
        return tags, following

    def _values(self, entry: int, code: str, number: int) -> tuple[int, ...]:
        at, room, pointer = (entry + 12, 8, "Q") if self._big else (entry + 8, 4, "I")
        if number * struct.calcsize("=" + code) > room:
            (at,) = self._unpack(pointer, at)
        return self._unpack(f"{min(number, _MOST_VALUES)}{code}", at)

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        if offset > len(self._data):  # struct accepts no offset above the largest ssize_t
            raise struct.error("outside of the file")
        return struct.unpack_from(self._order + layout, self._data, offset)
