"""Sizes of images in a network. This module imports little, because it is used before PyTorch is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED
from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.model_ref import ModelParams

_LONG_SIDE = 1000
_MAX_ASPECT = 50


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Check the size in an image's header before the image is decoded.

    Args:
        size: Width and height in pixels.
        max_pixels: Maximum number of pixels.

    Raises:
        BadImageError: The size is not that of a photograph.
    """
    width, height = size
    if width * height > max_pixels:
        raise BadImageError(
            f"decompression bomb: {width} × {height} pixels in the header, more than the {max_pixels} allowed"
        )
    if min(width, height) < 1:
        raise BadImageError(f"no pixels: {width} × {height} in the header")
    if max(width, height) > _LONG_SIDE and max(width, height) > _MAX_ASPECT * min(width, height):
        raise BadImageError(
            f"{width} × {height} pixels is not a photograph: one side is more than {_MAX_ASPECT} times the other"
        )


def stride_of(params: ModelParams) -> int:
    """Return the number that heights and widths must be multiples of."""
    if params.architecture == EXPORTED:
        return params.size_multiple or 1
    return ARCHITECTURES[params.architecture].stride(params.arguments)


def padded_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Return height and width after padding; images with the same padded size can share a batch."""
    return math.ceil(size[0] / stride) * stride, math.ceil(size[1] / stride) * stride
