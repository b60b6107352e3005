"""TIFF files as Pillow does not write them: any tags, several pages, planes, BigTIFF."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FULL, REDUCED, MASK = 0, 1, 4


Page = tuple[Any, Mapping[int, Any]]


def tiff(*pages: Page, order: str = "<", big: bool = False) -> bytes:
    """Pages of `(array, tags)`: uncompressed, in one strip; the tags replace those that follow from the array."""
    magic = struct.pack(order + "2sH", b"II" if order == "<" else b"MM", 43 if big else 42)
    data = bytearray(magic + (struct.pack(order + "HHQ", 8, 0, 0) if big else struct.pack(order + "I", 0)))
    link = 8 if big else 4
    for array, tags in pages:
        strip = len(data)
        data += array.astype(array.dtype.newbyteorder(order)).tobytes()
        link = _directory(data, link, {**_tags(array, strip), **tags}, order, big)
    return bytes(data)


def _tags(array: Any, strip: int) -> dict[int, Any]:
    bands = array.shape[2] if array.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3, "c": 6, "b": 1}[array.dtype.kind]
    return {
        256: array.shape[1], 257: array.shape[0], 258: [8 * array.itemsize] * bands, 259: 1, 262: 2 if bands > 2 else 1,
        273: strip, 277: bands, 278: array.shape[0], 279: array.nbytes, 339: [kind] * bands,
    }  # fmt: skip


def _directory(data: bytearray, link: int, tags: Mapping[int, Any], order: str, big: bool) -> int:
    """Append a directory, and link it; returns where the link to the next one is."""
    pointer, count, room = ("Q", "Q", 8) if big else ("I", "H", 4)
    entries = b""
    for tag, value in sorted(tags.items()):
        values: Sequence[int] = value if isinstance(value, list) else [value]
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > room:
            data += packed
            packed = struct.pack(order + pointer, len(data) - len(packed))
        entries += struct.pack(f"{order}HH{pointer}", tag, 4, len(values)) + packed.ljust(room, b"\0")
    at = len(data)
    data += struct.pack(order + count, len(tags)) + entries + bytes(room)
    struct.pack_into(order + pointer, data, link, at)
    return len(data) - room


def planes(array: Any) -> tuple[Any, dict[int, Any]]:
    """A page with its bands in separate planes."""
    height, width, bands = array.shape
    flat = np.moveaxis(array, 2, 0)
    each = height * width * array.itemsize
    tags = {256: width, 257: height, 258: [8 * array.itemsize] * bands, 262: 2 if bands > 2 else 1, 277: bands}
    tags |= {273: [8 + each * band for band in range(bands)], 278: height, 279: [each] * bands, 284: 2}
    return flat, tags | {339: [1] * bands}


def with_sub_page(page: Page, below: Page) -> bytes:
    """A page that names another one below it, which is not in the file's chain of pages."""
    array, tags = page
    offset = 0
    for _ in range(2):
        data = bytearray(tiff((array, {**tags, 330: offset}), below))
        (first,) = struct.unpack_from("<I", data, 4)
        (entries,) = struct.unpack_from("<H", data, first)
        link = first + 2 + 12 * entries
        (offset,) = struct.unpack_from("<I", data, link)
    struct.pack_into("<I", data, link, 0)
    return bytes(data)
