"""From what the network gave to the mask of the whole photograph. Needs no torch: this is work for any process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.memory.arrays import empty

Logits = npt.NDArray[np.float32]
"""Shape (n_classes, height, width)."""

_BAND_PIXELS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prediction:
    """What came of one image.

    Attributes:
        values: Classes, uint8, shape (height, width); or, of an image that was scaled down for the network, its logits,
            float32, shape (n_classes, height, width), of the size that the network saw.
    """

    values: Classes | Logits

    @property
    def classes(self) -> Classes:
        """Classes at the size that the network saw."""
        return cast("Classes", self.values) if self.values.ndim == 2 else classify(cast("Logits", self.values))

    def restored(self, size: tuple[int, int]) -> Classes:
        """Classes at the photograph's height and width.

        Logits are scaled up bilinearly, their pixels taken for squares whose centers carry the values (what PyTorch
        calls `align_corners=False`), then classified; band by band, so that no large image of floats comes about.
        """
        if self.values.ndim == 2:
            return cast("Classes", self.values)
        logits = cast("Logits", self.values)
        if logits.shape[1:] == size:
            return classify(logits)
        classes = empty(size, np.uint8)
        rows = max(1, _BAND_PIXELS // size[1])
        for top in range(0, size[0], rows):
            bottom = min(size[0], top + rows)
            classes[top:bottom] = classify(_scaled(logits, size, top, bottom))
        return classes


def classify(logits: Logits) -> Classes:
    """Give the class of each pixel: above 0 for a single class, else the largest."""
    if logits.shape[0] == 1:
        return np.asarray(logits[0] > 0, np.uint8)
    return np.asarray(logits.argmax(axis=0), np.uint8)


def _scaled(logits: Logits, size: tuple[int, int], top: int, bottom: int) -> Logits:
    """Rows `top` to `bottom` of the logits at another height and width."""
    _, height, width = logits.shape
    box = (0.0, top * height / size[0], float(width), bottom * height / size[0])
    band = [
        Image.fromarray(plane).resize((size[1], bottom - top), Image.Resampling.BILINEAR, box=box) for plane in logits
    ]
    return np.stack([np.asarray(plane) for plane in band])
