"""What a photograph is to cloudseg, and how its file is read: the same to the engine and to the gallery.

What the gallery shows is what the engine saw. The two differ in what they make of it (arrays of a photograph, a small
picture) and in what they refuse. Pillow is imported where it is used: a DAG's parse imports this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")
"""Pillow's names; its JPEG decoder opens MPO, too.

The other decoders stay closed: they are old, rarely tested, and would read what strangers upload.
"""
SIXTEEN_BITS = 65535
"""White of 16 bits."""
_ORIENTATION = 0x0112
_MAX_ERROR = 200
_DRAFT = 2
"""JPEG is decoded at an eighth, a quarter or half its size where that leaves so many times what is wanted: the filter
that scales it down for good then has enough to work on."""


def fit_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Scale two sides down, in proportion, so that neither is longer than `max_side`; None: leave them as they are."""
    scale = min(1.0, max_side / max(size)) if max_side else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def draft_jpeg(image: Image.Image, size: tuple[int, int]) -> None:
    """Have a JPEG decoded at a fraction of its size, where it is to be scaled down; other formats are left alone.

    Args:
        image: Opened, and not loaded yet.
        size: Width and height that it is to have in the end.
    """
    if size != image.size and image.format in {"JPEG", "MPO"}:
        image.draft(None, (_DRAFT * size[0], _DRAFT * size[1]))


def has_several_frames(image: Image.Image) -> bool:
    """Whether it is an animation or a file of many pages. Of a phone's several pictures (MPO), the first one counts."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def is_deep(image: Image.Image) -> bool:
    """Whether it is a grey image of more than eight bits."""
    return image.mode.startswith("I") or image.mode == "F"


def white_value(image: Image.Image, highest: float) -> int:
    """Tell which value of a grey image of more than eight bits is white.

    Args:
        image: Of a mode I or F.
        highest: The highest value in it. Floats run to 1, 255 or 65535: they do not say which.
    """
    if image.mode != "F":
        return SIXTEEN_BITS
    return next((white for white in (1, 255) if highest <= white), SIXTEEN_BITS)


def convert(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """Convert an image of eight bits or fewer; transparency is left out: the colors below it are the photograph's."""
    if image.mode == mode:
        # Pillow's `convert` would copy.
        return image
    if image.mode in {"P", "PA"}:
        # Straight to RGB, Pillow warns of transparency that is lost.
        image = image.convert("RGBA")
    return image.convert(mode)


def exif_orientation(image: Image.Image) -> int:
    """Read which way is up, 1 to 8 as in EXIF; 1 where the tag cannot be read, for the pixels are fine.

    Args:
        image: Loaded: loading turns a TIFF upright and drops its tag.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  EXIF is parsed by the same readers of broken bytes
        return 1


def error_text(error: Exception) -> str:
    """What Pillow raised of broken bytes, as one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR]
