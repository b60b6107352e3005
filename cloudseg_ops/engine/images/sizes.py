"""Sizes of images in a network. This module imports little, because it is used before PyTorch is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED
from cloudseg_ops.contracts.model_ref import ModelParams


def stride_of(params: ModelParams) -> int:
    """Return the number that heights and widths must be multiples of."""
    if params.architecture == EXPORTED:
        return params.size_multiple or 1
    return ARCHITECTURES[params.architecture].stride(params.arguments)


def padded_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Return height and width after padding; images with the same padded size can share a batch."""
    return math.ceil(size[0] / stride) * stride, math.ceil(size[1] / stride) * stride
