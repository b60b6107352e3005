"""How a mask is drawn over its photograph: in the engine's previews, and in the gallery where there is none.

Pillow is imported where it is used: a DAG's parse imports this package.
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
"""The color that lies over cloud, lightly, and draws its outline: a pink that neither sky nor cloud nor ground has."""
_STRENGTH = 0.35
_GAP = 4
_QUALITY = 85


def draw_pair(photograph: Image.Image, cloud: Image.Image) -> Image.Image:
    """Draw a photograph and its overlay side by side.

    Args:
        photograph: RGB.
        cloud: L, of any size: 255 where there is cloud, 0 elsewhere.
    """
    from PIL import Image

    both = Image.new("RGB", (2 * photograph.width + _GAP, photograph.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(draw_overlay(photograph, cloud), (photograph.width + _GAP, 0))
    return both


def draw_overlay(photograph: Image.Image, cloud: Image.Image) -> Image.Image:
    """Draw a photograph with its clouds tinted and outlined.

    Args:
        photograph: RGB.
        cloud: As for `draw_pair`.
    """
    from PIL import Image, ImageChops, ImageFilter

    cloud = cloud.resize(photograph.size, Image.Resampling.NEAREST)
    overlay = photograph.copy()
    overlay.paste(photograph.point(_tinted_values()), mask=cloud)
    if min(cloud.size) >= 3:
        # Cloud pixels next to a pixel that is not cloud.
        outline = ImageChops.subtract(cloud, cloud.filter(ImageFilter.MinFilter(3)))
        overlay.paste(CLOUD_TINT, mask=outline)
    return overlay


def to_jpeg(image: Image.Image) -> bytes:
    """Write an RGB image as JPEG, with nothing of what the photograph's file said besides its pixels."""
    stream = io.BytesIO()
    # Not `image.info`, which may hold a profile or a place.
    image.info.clear()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


@cache
def _tinted_values() -> list[int]:
    """What becomes of each value of red, green and blue below the tint, as `Image.point` takes it.

    In single precision, which decides where a value lies between two: previews of all versions are alike.
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
    """Round to a float of 32 bits."""
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)
