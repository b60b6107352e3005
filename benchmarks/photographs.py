"""Creates photographs of given pixel and byte sizes, from generated scenes or from a folder's images.

A file is the JPEG of the highest quality that fits the byte size, padded with JPEG comments to exactly that size.
Mixed sizes with 5 MB files are those of large photographs, whose JPEGs need hardly any padding.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from cloudseg_local.photographs import find_images
from cloudseg_local.scenes import make_scene

Size = tuple[int, int]
"""Width and height."""

SIZES: dict[str, tuple[Size, ...]] = {
    "64": ((64, 64),) * 4,
    "256": ((256, 256),) * 8,
    "512": ((512, 512),) * 8,
    "1024": ((1024, 1024),) * 4,
    "mixed": ((320, 240), (333, 250), (256, 256), (480, 360), (512, 384), (640, 427), (768, 512), (1024, 768)),
}
LARGE: tuple[Size, ...] = ((4000, 3000), (3264, 2448), (4032, 3024), (2592, 3888))
"""Sizes of phone and camera photographs: 8 to 12 megapixels."""
LARGE_FROM = 1_000_000
"""File size in bytes from which the mixed sizes are `LARGE`."""

_QUALITIES = range(5, 101)
_COMMENT = 0xFE
_MAX_PAYLOAD = 65533
_HEADER = 4


@dataclass(frozen=True, slots=True)
class Photographs:
    """A set of photographs on disk.

    Attributes:
        folder: Their folder: 0000.jpg, 0001.jpg, …
        count: Their number.
        megapixels: Mean megapixels.
        own_bytes: Mean bytes of the JPEGs without padding.
        uniform: Whether they are all of one size.
    """

    folder: Path
    count: int
    megapixels: float
    own_bytes: float
    uniform: bool

    def files(self) -> list[bytes]:
        """Return the contents of the files."""
        return [path.read_bytes() for path in sorted(self.folder.glob("*.jpg"))]


def sizes_for(kind: str, size_bytes: int) -> tuple[Size, ...]:
    """Return width and height of each photograph of a set."""
    return LARGE if kind == "mixed" and size_bytes >= LARGE_FROM else SIZES[kind]


def open_photographs(kind: str, size_bytes: int, cache: Path, images: Path | None = None) -> Photographs:
    """Make a set of photographs, unless it is in the cache.

    Args:
        kind: A key of `SIZES`.
        size_bytes: Bytes of each file.
        cache: Folder of the sets.
        images: Folder of images to crop and scale; None: use generated scenes.
    """
    digest = hashlib.sha256(f"{kind} {size_bytes} {images and images.resolve()}".encode()).hexdigest()[:12]
    folder = cache / f"photographs-{digest}"
    if not (folder / "set.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        sizes = sizes_for(kind, size_bytes)
        jpeg_sizes = [_write(folder, index, size, size_bytes, images) for index, size in enumerate(sizes)]
        facts = {
            "count": len(sizes),
            "megapixels": sum(width * height for width, height in sizes) / len(sizes) / 1e6,
            "own_bytes": sum(jpeg_sizes) / len(jpeg_sizes),
            "uniform": len(set(sizes)) == 1,
        }
        (folder / "set.json").write_text(json.dumps(facts), "utf-8")
    return Photographs(folder, **json.loads((folder / "set.json").read_text("utf-8")))


def _write(folder: Path, index: int, size: Size, size_bytes: int, images: Path | None) -> int:
    picture = _from_folder(images, index, size) if images else Image.fromarray(make_scene(index, *size).image)
    data = encode_to(picture, size_bytes)
    (folder / f"{index:04}.jpg").write_bytes(pad_jpeg(data, size_bytes))
    return len(data)


def _from_folder(images: Path, index: int, size: Size) -> Image.Image:
    names: Sequence[str] = find_images(images)
    with Image.open(images / names[index % len(names)]) as image:
        return ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), size)


def encode_to(picture: Image.Image, max_bytes: int) -> bytes:
    """Encode as JPEG at the highest quality that fits `max_bytes`, or at the lowest quality if none fits."""
    low, high = 0, len(_QUALITIES) - 1
    best = _jpeg(picture, _QUALITIES[low])
    while low < high:
        middle = (low + high + 1) // 2
        data = _jpeg(picture, _QUALITIES[middle])
        if len(data) <= max_bytes:
            low, best = middle, data
        else:
            high = middle - 1
    return best


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def pad_jpeg(data: bytes, size_bytes: int) -> bytes:
    """Pad a JPEG to a size with comment segments (ITU-T T.81, B.2.4.5) after its first segment.

    A file that is too large, or less than a segment's four header bytes too small, is returned unchanged.
    """
    missing = size_bytes - len(data)
    segments = []
    while missing >= _HEADER:
        payload = min(missing - _HEADER, _MAX_PAYLOAD)
        # The remainder must have room for a segment's header.
        if 0 < missing - _HEADER - payload < _HEADER:
            payload -= _HEADER
        segments.append(bytes([0xFF, _COMMENT]) + (payload + 2).to_bytes(2, "big") + b"\x20" * payload)
        missing -= _HEADER + payload
    first = 2 + 2 + int.from_bytes(data[4:6], "big")
    return data[:first] + b"".join(segments) + data[first:]
