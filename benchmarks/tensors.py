"""Converts pixels to network inputs and logits to masks according to params.yaml, in plain torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.images.masks import Classes

STRIDE = 16
"""Heights and widths of network inputs are multiples of it, unless params.yaml has `size_multiple`."""


def network_size(height: int, width: int, params: ModelParams) -> tuple[int, int]:
    """Return height and width of the network's input before padding, according to params.yaml's `max_side`."""
    scale = min(1.0, params.max_side / max(height, width)) if params.max_side else 1.0
    return max(1, round(height * scale)), max(1, round(width * scale))


def prepare(image: npt.NDArray[np.uint8], params: ModelParams) -> torch.Tensor:
    """Normalize, scale down and pad: float32, shape (3, H, W)."""
    values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    size = network_size(image.shape[0], image.shape[1], params)
    if size != image.shape[:2]:
        values = functional.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)
    stride = params.size_multiple or STRIDE
    values = functional.pad(values, (0, -size[1] % stride, 0, -size[0] % stride), mode="replicate")
    if params.normalize:
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (params.normalize.mean, params.normalize.std))
        values = (values - mean) / std
    return values[0]


def classify(logits: torch.Tensor, height: int, width: int, params: ModelParams) -> Classes:
    """Convert logits, shape (1, H, W), to the mask of a photograph of that height and width."""
    size = network_size(height, width, params)
    logits = logits[:, : size[0], : size[1]].float()
    if size != (height, width):
        logits = functional.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
    return (logits[0] > 0).to(torch.uint8).numpy()
