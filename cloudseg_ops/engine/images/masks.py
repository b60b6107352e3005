"""Masks as files: an 8-bit palette PNG that any viewer shows in color."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD
from cloudseg_ops.engine.images.row_blocks import row_blocks

Classes = npt.NDArray[np.uint8]
"""A mask: shape (height, width), values are class indices."""

_CLEAR_SKY = (0, 191, 255)  # CSS deepskyblue
_WHITE = (255, 255, 255)
_GOLDEN_ANGLE = 0.381966  # of a full turn: neighbors in the sequence are far apart in hue


def palette(n_classes: int) -> bytes:
    """Give the RGB colors of the classes: clear sky blue, cloud white, further ones far apart in hue."""
    colors = [_CLEAR_SKY, _WHITE]
    for index in range(2, n_classes):
        rgb = colorsys.hsv_to_rgb(index * _GOLDEN_ANGLE % 1, 0.85, 0.95 if index % 2 else 0.65)
        colors.append((round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255)))
    return bytes(channel for color in colors for channel in color)


def encode_mask(classes: Classes, n_classes: int) -> bytes:
    """Write a mask as PNG; a contiguous one is not copied."""
    image = Image.fromarray(classes)
    image.putpalette(palette(n_classes))
    stream = io.BytesIO()
    # Pillow would write two colors with one bit a pixel, which some readers do not give back as indices.
    # A mask is made of long runs: looking for these alone is several times as fast as zlib's default, and as small.
    image.save(stream, "PNG", bits=8, compress_type=Image.RLE)
    return stream.getvalue()


def cloud_fraction(classes: Classes) -> float:
    """Share of cloud pixels, 0–1."""
    cloud = sum(int(np.count_nonzero(classes[rows] == CLOUD)) for rows in row_blocks(*classes.shape))
    return cloud / classes.size
