"""Drawing a mask over its photograph, for the engine's previews and for the gallery where there is no preview.

Functions import Pillow themselves, because parsing a DAG imports this module.
"""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

CLOUD = 1
"""The class index of cloud in a mask; 0 is clear sky."""
CLOUD_TINT = "#ff4081"
"""The color of the tint over cloud and of its outline: a pink that does not occur in sky, cloud or ground."""
_STRENGTH = 0.35
_GAP = 4
_QUALITY = 85


def draw_pair(photograph: Image.Image, cloud: Image.Image) -> Image.Image:
    """Draw a photograph and its mask overlay side by side.

    Args:
        photograph: Mode RGB.
        cloud: Mode L, of any size: 255 where there is cloud, 0 elsewhere.
    """
    from PIL import Image

    both = Image.new("RGB", (2 * photograph.width + _GAP, photograph.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(draw_overlay(photograph, cloud), (photograph.width + _GAP, 0))
    return both


def draw_overlay(photograph: Image.Image, cloud: Image.Image) -> Image.Image:
    """Draw a photograph with its clouds tinted and outlined.

    Args:
        photograph: Mode RGB.
        cloud: Mode L, of any size: 255 where there is cloud, 0 elsewhere.
    """
    from PIL import Image, ImageChops, ImageFilter

    cloud = cloud.resize(photograph.size, Image.Resampling.NEAREST)
    overlay = photograph.copy()
    overlay.paste(photograph.point(_tinted_values()), mask=cloud)
    if min(cloud.size) >= 3:
        # Cloud pixels that touch a pixel without cloud.
        outline = ImageChops.subtract(cloud, cloud.filter(ImageFilter.MinFilter(3)))
        overlay.paste(CLOUD_TINT, mask=outline)
    return overlay


def to_jpeg(image: Image.Image) -> bytes:
    """Encode an RGB image as JPEG, without any metadata of the photograph's file."""
    stream = io.BytesIO()
    # `image.info` may contain a color profile or a location.
    image.info.clear()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


@cache
def _tinted_values() -> list[int]:
    """Return the tinted value of each red, green and blue value, as a table for `Image.point`.

    Computed in single precision, which decides how ties are rounded, so that previews of all versions look the same.
    """
    from PIL import ImageColor

    strength = _single(_STRENGTH)
    rest = _single(1 - strength)
    return [
        round(_single(_single(value * rest) + _single(channel * strength)))
        for channel in ImageColor.getrgb(CLOUD_TINT)
        for value in range(256)
    ]


def _single(value: float) -> float:
    """Return the value rounded to a 32-bit float."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)
