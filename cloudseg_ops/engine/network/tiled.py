"""An image's classes or logits, computed tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from cloudseg_ops.engine.images.decode import Pixels
from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.network.tiling import Box, Tile

Forward = Callable[[Sequence[Pixels]], torch.Tensor]
"""From windows of one shape (h, w, channels), views of the image, to their logits (N, n_classes, h, w)."""


def segment_tiled(
    frame: Pixels, tiles: Sequence[Tile], forward: Forward, out: Classes | npt.NDArray[np.float32], *, batch: int = 1
) -> None:
    """Segment an image tile by tile.

    Takes the memory of one batch of windows and their logits, in addition to `frame` and `out`.

    Args:
        frame: The image as the network sees it, before normalization and padding: shape (H, W, channels).
        tiles: What `plan_tiles` made of its size.
        forward: Called with at most `batch` windows; those past the image repeat its last row and column.
        out: Written: shape (H, W), uint8, for classes, or (n_classes, H, W), float32, for logits.
        batch: Most windows at once.
    """
    for first in range(0, len(tiles), batch):
        some = tiles[first : first + batch]
        logits = forward([_read(frame, tile.window) for tile in some])
        results = (classes_of(logits) if out.ndim == 2 else logits.float()).cpu().numpy()
        for tile, result in zip(some, results, strict=True):
            core = tile.core
            out[..., core.top : core.bottom, core.left : core.right] = result[..., *tile.core_in_window]


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """Give the class of each pixel, uint8; logits of shape (N, n_classes, H, W) make classes of shape (N, H, W)."""
    classes = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(dim=1)
    return classes.to(torch.uint8)


def _read(frame: Pixels, window: Box) -> Pixels:
    part = frame[window.top : window.bottom, window.left : window.right]
    missing = window.shape[0] - part.shape[0], window.shape[1] - part.shape[1]
    if not any(missing):
        return part
    return cast("Pixels", np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge"))
