"""Large images scaled down for the network, and logits scaled back up, a band of rows at a time.

Both give what `torch.nn.functional.interpolate` gives for the whole image, within rounding. The whole image would take
twelve bytes a pixel in float32 there, and as much again for each step on the way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from cloudseg_ops.engine.bands import bands
from cloudseg_ops.engine.decode import Pixels
from cloudseg_ops.engine.masks import Classes
from cloudseg_ops.engine.tiled import classify

_CPU = torch.device("cpu")


def scale_down(pixels: Pixels, height: int, width: int, device: torch.device = _CPU) -> npt.NDArray[np.float32]:
    """Reduce an image, with a low-pass filter: bilinear, `antialias=True`.

    Args:
        pixels: Shape (H, W, channels), uint8 with values 0–255 or float32 with 0–1.
        height: Wanted, at most H.
        width: Wanted, at most W.
        device: Where to compute.

    Returns:
        Shape (height, width, channels), values 0–1.
    """
    full_height, full_width, channels = pixels.shape
    out = torch.zeros(height, width * channels, device=device)
    for rows in bands(full_height, full_width):
        band = torch.from_numpy(pixels[rows]).to(device).permute(2, 0, 1)[None].float()
        if pixels.dtype == np.uint8:
            band /= 255
        narrow = functional.interpolate(
            band, (band.shape[2], width), mode="bilinear", align_corners=False, antialias=True
        )
        first, weights = _shares(rows, full_height, height, device)
        # Scaling is linear, and each row adds its share to the few rows that it is near to.
        out[first : first + weights.shape[0]] += weights @ narrow[0].permute(1, 2, 0).flatten(1)
    return out.view(height, width, channels).cpu().numpy()


def _shares(rows: slice, full_height: int, height: int, device: torch.device) -> tuple[int, torch.Tensor]:
    """Tell what each of some rows adds to the rows of the reduced image.

    The filter is the triangle that reaches from a reduced row's middle to those of its neighbors.

    Returns:
        The first reduced row that any of them adds to, and weights of shape (reduced rows, rows).
    """
    scale = full_height / height
    first = max(0, int(rows.start / scale - 1))
    last = min(height, int(rows.stop / scale + 2))
    # In float32, as torch computes them, so that places are rounded alike.
    middles = (torch.arange(first, last) + 0.5) * torch.tensor(scale)
    lowest, highest = max(0, int(middles[0] - 2 * scale)), min(full_height, int(middles[-1] + 2 * scale) + 1)
    near = torch.arange(lowest, highest) - middles[:, None] + 0.5
    weights = (1 - (near / scale).abs()).clamp(min=0)
    weights /= weights.sum(dim=1, keepdim=True)
    return first, weights[:, rows.start - lowest : rows.stop - lowest].to(device)


def classes_scaled_up(logits: npt.NDArray[np.float32], height: int, width: int) -> Classes:
    """Enlarge logits, bilinear, and classify.

    Args:
        logits: Shape (n_classes, h, w).
        height: Wanted.
        width: Wanted.

    Returns:
        Shape (height, width).
    """
    small_height = logits.shape[1]
    given = torch.from_numpy(logits)
    out = np.empty((height, width), np.uint8)
    for rows in bands(height, width):
        places = ((torch.arange(rows.start, rows.stop) + 0.5) * (small_height / height) - 0.5).clamp(min=0)
        above = places.long().clamp(max=small_height - 1)
        below = (above + 1).clamp(max=small_height - 1)
        narrow = torch.lerp(given[:, above], given[:, below], (places - above)[:, None])
        band = functional.interpolate(narrow[None], (narrow.shape[1], width), mode="bilinear", align_corners=False)
        out[rows] = classify(band)[0]
    return out
