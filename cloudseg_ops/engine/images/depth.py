"""Photographs of more than eight bits: the value of white, and how much of their range they use."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.photographs import LOW_RANGE, SIXTEEN_BITS, white_value
from cloudseg_ops.engine.images.row_blocks import value_range

_EIGHT_BITS = 255
_SAMPLE_FORMAT = 339


def eight_bit_white(scale: float | None) -> float:
    """Return the value of white in a photograph of eight bits, given the model's white level.

    A white level above 255 is that of photographs with more bits.
    """
    return scale if scale and scale <= _EIGHT_BITS else _EIGHT_BITS


def measure_depth(image: Image.Image, scale: float | None = None) -> tuple[float, float]:
    """Return the highest value of a loaded grey image of more than eight bits, and the value of white.

    Args:
        image: An image of a mode I or F.
        scale: The model's white level; values below 0 and above it are allowed then. None: by the image's type.

    Raises:
        BadImageError: The values are not those of a photograph.
    """
    low, high = value_range(image)
    if low < 0 and _is_unsigned(image):
        raise BadImageError("its pixels have values above 2,147,483,647: neither 0–1, 8 bits nor 16 bits")
    check_values(low, high, scale)
    return high, scale or white_value(image, high)


def check_values(low: float, high: float, scale: float | None) -> None:
    """Check that the lowest and highest value of an image of more than eight bits can be those of a photograph.

    Args:
        low: The lowest value.
        high: The highest value.
        scale: The model's white level; if there is one, the model knows values below 0 and above white.

    Raises:
        BadImageError: They cannot.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadImageError("some of its pixels are not finite (NaN or infinite)")
    if not scale and (low < 0 or high > SIXTEEN_BITS):
        raise BadImageError(f"its pixels have values from {low:g} to {high:g}: neither 0–1, 8 bits nor 16 bits")


def _is_unsigned(image: Image.Image) -> bool:
    """Return whether the file's values are unsigned: Pillow reads 32 bits as signed ones."""
    return image.mode == "I" and getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, (1,))[0] == 1


def low_range(high: float, white: float) -> float | None:
    """Return the share of the range that is used, 0–1, if it is at most `LOW_RANGE`; otherwise None.

    Args:
        high: The highest value.
        white: The value of white; only ranges of more than eight bits are judged.
    """
    used = (high + 1) / (white + 1)
    return round(used, 6) if white > _EIGHT_BITS and used <= LOW_RANGE else None


def low_range_of_upper_bits(image: Image.Image) -> float | None:
    """Return the same for a loaded image of 16 bits of which Pillow has read only the upper eight.

    Rounding does not matter: the 16 bits are below 8192 exactly if their upper eight are below 32.
    """
    extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())
    colors = len(image.getbands()) - image.mode.endswith("A")
    used = (max(high for _, high in extrema[:colors]) + 1) / (_EIGHT_BITS + 1)
    return round(used, 6) if image.mode != "CMYK" and used <= LOW_RANGE else None
