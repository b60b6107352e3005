"""Processes large images in blocks of rows, so that there is never a second image of the same size in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.photographs import convert
from cloudseg_ops.engine.memory.arrays import empty

BAND_PIXELS = 1 << 20
"""Pixels in a block: few enough that most of a block fits in the CPU cache and its copies need little memory."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap rows and columns."""
_MIRRORED = {2: (1,), 3: (0, 1), 4: (0,), 6: (0,), 7: (0, 1), 8: (1,)}
"""Axes of the stored image that are mirrored, by orientation."""


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return a height and width before or after the rotation that an EXIF orientation asks for."""
    return (size[1], size[0]) if orientation in TURNED else size


def row_blocks(height: int, width: int, pixels: int = BAND_PIXELS) -> Iterator[slice]:
    """Yield the rows of an image as blocks of at most `pixels` pixels, but of at least one row.

    Args:
        height: Height of the image.
        width: Width of the image.
        pixels: Maximum number of pixels in a block.
    """
    rows = max(1, pixels // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def image_blocks(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Yield the blocks of a loaded image with their rows; a small image is a single block, without a copy."""
    if image.width * image.height <= BAND_PIXELS:
        yield slice(0, image.height), image
        return
    for rows in row_blocks(image.height, image.width):
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def to_array(image: Image.Image, mode: Literal["L", "RGB"], orientation: int = 1) -> npt.NDArray[np.uint8]:
    """Convert a loaded image to an upright array.

    Apart from the image, which takes four bytes per pixel in Pillow (one in the modes L and P), this needs memory only
    for the array and copies of one block. The alpha channel is dropped.

    Args:
        image: An image of any mode with eight bits or fewer.
        mode: The mode to convert to.
        orientation: EXIF orientation (tag 0x0112), 1 to 8; other values mean upright.

    Returns:
        A new contiguous array of shape (height, width, channels), channels 1 or 3.
    """
    upright = empty(_shape(image, len(mode), orientation), np.uint8)
    stored = as_stored(upright, orientation)
    for rows, band in image_blocks(image):
        stored[rows] = np.asarray(convert(band, mode)).reshape(-1, image.width, len(mode))
    return upright


def to_deep_array(image: Image.Image, channels: int, full: float, orientation: int = 1) -> npt.NDArray[np.float32]:
    """Convert a loaded grey image of more than eight bits to an upright array with values 0–1.

    Args:
        image: An image of a mode I or F.
        channels: Number of channels of the array, all with the same values.
        full: The value that becomes 1.
        orientation: EXIF orientation (tag 0x0112), 1 to 8; other values mean upright.

    Returns:
        A new contiguous array of shape (height, width, channels).
    """
    upright = empty(_shape(image, channels, orientation), np.float32)
    stored = as_stored(upright, orientation)
    for rows, band in image_blocks(image):
        stored[rows] = (np.asarray(band).astype(np.float32) / np.float32(full))[..., None]
    return upright


def value_range(image: Image.Image) -> tuple[float, float]:
    """Return the minimum and maximum of a loaded grey image; both are NaN if any value is NaN."""
    ends = [(float(values.min()), float(values.max())) for values in (np.asarray(b) for _, b in image_blocks(image))]
    # Unlike Python's min and max, NumPy's return NaN if any value is NaN.
    return float(np.min([low for low, _ in ends])), float(np.max([high for _, high in ends]))


def _shape(image: Image.Image, channels: int, orientation: int) -> tuple[int, int, int]:
    turned = orientation in TURNED
    return (image.width, image.height, channels) if turned else (image.height, image.width, channels)


def as_stored(upright: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return a view of an upright array in the orientation of the file, to write stored rows to their final place."""
    view = upright.transpose(1, 0, 2) if orientation in TURNED else upright
    return np.flip(view, _MIRRORED.get(orientation, ()))
