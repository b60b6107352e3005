"""Arrays of pixels, as photographs are decoded to."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""Shape (height, width, channels): uint8 with values 0–255, or float32 with values 0–1."""


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels of another height and width, bilinear with antialiasing; the aspect ratio is not kept.

    Args:
        pixels: Shape (H, W, channels).
        size: Height and width of the result.
    """
    planes = [
        Image.fromarray(np.ascontiguousarray(pixels[..., channel])).resize(
            (size[1], size[0]), Image.Resampling.BILINEAR
        )
        for channel in range(pixels.shape[2])
    ]
    return cast("Pixels", np.stack([np.asarray(plane) for plane in planes], axis=2))
