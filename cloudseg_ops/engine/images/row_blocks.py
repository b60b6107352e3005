"""Work on a large picture a band of rows at a time, so that no second picture of its size is ever held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.photographs import convert
from cloudseg_ops.engine.memory.arrays import empty

BAND_PIXELS = 1 << 20
"""Pixels of a band: few enough for a processor's cache to hold most of one, and for its copies not to count."""

TURNED = (5, 6, 7, 8)
"""Orientations whose rows are seen as columns."""
_MIRRORED = {2: (1,), 3: (0, 1), 4: (0,), 6: (0,), 7: (0, 1), 8: (1,)}
"""Axes of the file's picture that run backwards, by orientation."""


def row_blocks(height: int, width: int, pixels: int = BAND_PIXELS) -> Iterator[slice]:
    """Cut the rows of a picture into bands of at most `pixels` pixels, or of one row."""
    rows = max(1, pixels // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(height, top + rows))


def image_blocks(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Give the bands of a loaded image, each with its rows; a small image is its own only band."""
    if image.width * image.height <= BAND_PIXELS:
        yield slice(0, image.height), image
        return
    for rows in row_blocks(image.height, image.width):
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def to_array(image: Image.Image, mode: Literal["L", "RGB"], orientation: int = 1) -> npt.NDArray[np.uint8]:
    """Convert a loaded image to an upright array.

    In addition to the image itself (four bytes per pixel in Pillow; one in the modes L and P), this holds only
    the array and copies of one band. Transparency is left out.

    Args:
        image: Of any mode of eight bits or fewer.
        mode: What to convert it to.
        orientation: Which way is up, 1 to 8 as in EXIF's tag 0x0112; anything else is upright.

    Returns:
        Shape (height, width, channels), channels 1 or 3, contiguous, the caller's own.
    """
    upright = empty(_shape(image, len(mode), orientation), np.uint8)
    as_stored = _as_stored(upright, orientation)
    for rows, band in image_blocks(image):
        as_stored[rows] = np.asarray(convert(band, mode)).reshape(-1, image.width, len(mode))
    return upright


def to_deep_array(image: Image.Image, channels: int, full: float, orientation: int = 1) -> npt.NDArray[np.float32]:
    """Convert a loaded grey image of more than eight bits to an upright array of 0–1.

    Args:
        image: Of a mode I or F.
        channels: Of the array; they are all alike.
        full: The value that becomes 1.
        orientation: As for `to_array`.

    Returns:
        Shape (height, width, channels), contiguous, the caller's own.
    """
    upright = empty(_shape(image, channels, orientation), np.float32)
    as_stored = _as_stored(upright, orientation)
    for rows, band in image_blocks(image):
        as_stored[rows] = (np.asarray(band).astype(np.float32) / np.float32(full))[..., None]
    return upright


def value_range(image: Image.Image) -> tuple[float, float]:
    """Give the least and the greatest value of a loaded grey image; NaN for both where any is NaN."""
    ends = [(float(values.min()), float(values.max())) for values in (np.asarray(b) for _, b in image_blocks(image))]
    # NumPy's least of several numbers is NaN where one of them is; Python's is not.
    return float(np.min([low for low, _ in ends])), float(np.max([high for _, high in ends]))


def _shape(image: Image.Image, channels: int, orientation: int) -> tuple[int, int, int]:
    turned = orientation in TURNED
    return (image.width, image.height, channels) if turned else (image.height, image.width, channels)


def _as_stored(upright: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """View an upright picture's array as its file stores it: what is written there lands where it is seen."""
    view = upright.transpose(1, 0, 2) if orientation in TURNED else upright
    return np.flip(view, _MIRRORED.get(orientation, ()))
