"""Rules for reading photographs, shared by the engine and the gallery, so that the gallery shows what the engine saw.

The two differ in their results (arrays, small pictures) and their limits. Functions import Pillow themselves, because
parsing a DAG imports this module.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cloudseg_ops.contracts.file_kinds import RAW_TIFF, Data, FileKind, identify
from cloudseg_ops.contracts.tiff_pages import misread, photograph_page, read_pages, unreadable

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Formats that every installation reads, by Pillow's names; its JPEG decoder also opens MPO.

Pillow's other decoders are disabled: they are old, rarely tested, and would read untrusted uploads.
"""
DECODER_PACKAGES = {"AVIF": "pillow from its wheels", "HEIF": "cloudseg[heif] (pi-heif)"}
"""Formats that are read where a decoder is installed, and what to install."""
_HEIF_PLUGINS = ("pi_heif", "pillow_heif")
SIXTEEN_BITS = 65535
"""The value of white in 16 bits."""
_TWELVE_BITS = 4095
LOW_RANGE = 1 / 8
"""A photograph of more than eight bits whose highest value is at most this share of white uses few of its values."""
SEVERAL_FRAMES = "it has several frames (an animation or a file of many pages) instead of one photograph"
_CONVERT_TIFF = "convert it to 8-bit RGB or grey (gdal_translate -ot Byte -scale; -b selects bands) and upload it again"
_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_MAX_ERROR = 200
_DRAFT = 2
"""A JPEG is decoded at an eighth, a quarter or half its size if that is at least this multiple of the wanted size,
which leaves enough pixels for the final resampling."""


_registering = threading.Lock()


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Return the formats that this installation reads: `FORMATS`, and AVIF and HEIF if their decoders are installed."""
    from PIL import Image, features

    with _registering:
        Image.init()
        avif = ("AVIF",) if features.check("avif") else ()
        for plugin in _HEIF_PLUGINS:
            with contextlib.suppress(ImportError):
                importlib.import_module(plugin).register_heif_opener()
                return (*FORMATS, *avif, "HEIF")
    return (*FORMATS, *avif)


@dataclass(frozen=True, slots=True)
class Unidentified:
    """Why a file cannot be opened.

    Attributes:
        reason: What it is and what to do, for people to read.
        missing: The format whose decoder is not installed, of `DECODER_PACKAGES`; None: the file is the cause.
    """

    reason: str
    missing: str | None = None


def explain_unidentified(data: Data) -> Unidentified:
    """Return why Pillow cannot open a file."""
    kind = identify(data)
    if kind is None:
        return Unidentified(f"not an image, or none of the formats {', '.join(readable_formats())}")
    if kind.format in DECODER_PACKAGES and kind.format not in readable_formats():
        install = DECODER_PACKAGES[kind.format]
        return Unidentified(
            f"{kind.name}, whose decoder is not installed: {kind.advice}, or install {install} in the engine's image",
            kind.format,
        )
    if kind.format is None:
        return Unidentified(_named(kind))
    broken = f"{kind.name} whose header is broken or truncated: upload the photograph again"
    return Unidentified((_tiff_reason(data) if kind.format == "TIFF" else None) or broken)


def name_other_kind(data: Data) -> str | None:
    """Return what a file is and what to do if it cannot be a photograph's; None if it can, or if it is unknown."""
    kind = identify(data)
    return _named(kind) if kind and kind.format is None else None


def _named(kind: FileKind) -> str:
    return f"not a photograph but {kind.name}: {kind.advice}"


def _tiff_reason(data: Data) -> str | None:
    pages = read_pages(data)
    if not pages:
        return None
    if any(page.is_raw for page in pages):
        return _named(RAW_TIFF)
    if data.startswith(b"MM\0+"):
        return f"a big-endian BigTIFF, which cannot be read; {_CONVERT_TIFF}"
    return f"a TIFF image with {unreadable(pages[0])}; {_CONVERT_TIFF}"


def find_photograph(image: Image.Image, data: Data) -> str | None:
    """Select the frame that is the photograph, and return why the file is not one photograph; None if it is.

    Of a TIFF, it is the only page that is not a reduced copy or a mask (as in a Cloud Optimized GeoTIFF). Of a phone's
    MPO or HEIC, it is the primary image.

    Args:
        image: An opened image that is not loaded yet.
        data: The file.
    """
    if image.format == "TIFF":
        return _find_page(image, data)
    return SEVERAL_FRAMES if has_several_frames(image) else None


def _find_page(image: Image.Image, data: Data) -> str | None:
    pages = read_pages(data)
    if any(page.is_raw for page in pages) or name_other_kind(data):
        return name_other_kind(data) or _named(RAW_TIFF)
    index = photograph_page(pages)
    if index is None:
        return SEVERAL_FRAMES if has_several_frames(image) else None
    reason = misread(pages[index])
    if reason is None:
        try:
            image.seek(index)
        except SyntaxError:
            reason = unreadable(pages[index])
    return reason and f"a TIFF image with {reason}; {_CONVERT_TIFF}"


def fit_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Return a size scaled down in proportion so that no side exceeds `max_side`; None: unchanged."""
    scale = min(1.0, max_side / max(size)) if max_side else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def draft_jpeg(image: Image.Image, size: tuple[int, int]) -> None:
    """Configure a JPEG to be decoded at a fraction of its size if it will be scaled down; ignore other formats.

    Args:
        image: An opened image that is not loaded yet.
        size: Final width and height.
    """
    if size != image.size and image.format in {"JPEG", "MPO"}:
        image.draft(None, (_DRAFT * size[0], _DRAFT * size[1]))


def has_several_frames(image: Image.Image) -> bool:
    """Return whether an image is an animation or has many pages; of a phone's MPO or HEIC, only the first counts."""
    return image.format not in {"MPO", "HEIF"} and bool(getattr(image, "is_animated", False))


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is grey with more than eight bits."""
    return image.mode.startswith("I") or image.mode == "F"


def loses_depth(image: Image.Image) -> bool:
    """Return whether Pillow reads only the upper eight of the 16 bits of an image: those in color or with alpha.

    Args:
        image: An opened image that is not loaded yet.
    """
    if image.format not in {"PNG", "TIFF"} or is_deep(image):
        return False
    # The decoder's arguments are the raw mode, such as `RGB;16B`, or begin with it.
    return any(";16" in str(args if isinstance(args, str) else args[:1]) for *_, args in getattr(image, "tile", ()))


def white_value(image: Image.Image, highest: float) -> int:
    """Return the value of white in a grey image of more than eight bits.

    Args:
        image: An image of a mode I or F.
        highest: The image's highest value, from which the white of floats is inferred: 1, 255 or 65535.
    """
    if image.mode != "F":
        packed = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (12,)
        return _TWELVE_BITS if packed else SIXTEEN_BITS
    return next((white for white in (1, 255) if highest <= white), SIXTEEN_BITS)


def convert(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """Convert an image of eight bits or fewer; drop its alpha channel and keep the colors below it."""
    if image.mode == mode:
        # Pillow's `convert` would copy.
        return image
    if image.mode in {"P", "PA"}:
        # Pillow warns about lost transparency when it converts to RGB directly.
        image = image.convert("RGBA")
    return image.convert(mode)


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the tag cannot be read, since the pixels may still be valid.

    Args:
        image: A loaded image: loading rotates a TIFF and removes its tag.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  Pillow's EXIF parser raises anything on broken data
        return 1


def error_text(error: Exception) -> str:
    """Return an error that Pillow raised on broken data as one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR]
