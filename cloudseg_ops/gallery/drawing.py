"""Draws what the gallery shows: the photograph next to its overlay, as the engine's previews have it, or a mask."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cloudseg_ops.report.previews import CLOUD_TINT

if TYPE_CHECKING:
    from PIL import Image

_CLOUD = 1  # class index of cloud in a mask
_STRENGTH = 0.35  # of the tint, as in the engine's previews; its outline has the full color
_GAP = 4
_QUALITY = 85


def draw_pair(photograph: Image.Image, mask: Image.Image) -> bytes:
    """Draw a photograph and its overlay side by side, as JPEG.

    Args:
        photograph: RGB.
        mask: Its class indices, of any size.
    """
    from PIL import Image

    overlay = draw_overlay(photograph, mask)
    both = Image.new("RGB", (2 * photograph.width + _GAP, photograph.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(overlay, (photograph.width + _GAP, 0))
    return as_jpeg(both)


def draw_overlay(photograph: Image.Image, mask: Image.Image) -> Image.Image:
    """Draw a photograph with its clouds tinted and outlined."""
    from PIL import Image, ImageChops, ImageFilter

    indices = Image.frombytes("L", mask.size, mask.tobytes())  # without its palette, which `convert` would apply
    cloud = indices.point([255 if index == _CLOUD else 0 for index in range(256)])
    cloud = cloud.resize(photograph.size, Image.Resampling.NEAREST)
    strength = cloud.point([round(_STRENGTH * index) for index in range(256)])
    if min(cloud.size) >= 3:
        # Cloud pixels that touch a pixel without cloud.
        strength = ImageChops.lighter(strength, ImageChops.subtract(cloud, cloud.filter(ImageFilter.MinFilter(3))))
    return Image.composite(Image.new("RGB", photograph.size, CLOUD_TINT), photograph, strength)


def as_jpeg(image: Image.Image) -> bytes:
    """Write an RGB image as JPEG, with nothing of what the photograph's file said besides its pixels."""
    stream = io.BytesIO()
    # Not `image.info`, which may hold a profile or a place.
    image.info.clear()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def as_png(mask: Image.Image) -> bytes:
    """Write a mask as PNG, in its palette's colors."""
    stream = io.BytesIO()
    mask.info.clear()
    mask.save(stream, "PNG")
    return stream.getvalue()
