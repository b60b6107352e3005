"""Rules for reading photographs, shared by the engine and the gallery, so that the gallery shows what the engine saw.

The two differ in their results (arrays, small pictures) and their limits. Functions import Pillow themselves, because
parsing a DAG imports this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Accepted formats, by Pillow's names; its JPEG decoder also opens MPO.

Pillow's other decoders are disabled: they are old, rarely tested, and would read untrusted uploads.
"""
SIXTEEN_BITS = 65535
"""The value of white in 16 bits."""
_ORIENTATION = 0x0112
_MAX_ERROR = 200
_DRAFT = 2
"""A JPEG is decoded at an eighth, a quarter or half its size if that is at least this multiple of the wanted size,
which leaves enough pixels for the final resampling."""


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
    """Return whether an image is an animation or has many pages; for a phone's MPO, only the first frame counts."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is grey with more than eight bits."""
    return image.mode.startswith("I") or image.mode == "F"


def white_value(image: Image.Image, highest: float) -> int:
    """Return the value of white in a grey image of more than eight bits.

    Args:
        image: An image of a mode I or F.
        highest: The image's highest value, from which the white of floats is inferred: 1, 255 or 65535.
    """
    if image.mode != "F":
        return SIXTEEN_BITS
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
