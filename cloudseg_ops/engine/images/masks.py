"""Makes masks from predictions, and encodes them as 8-bit palette PNG, which any viewer shows in color."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD
from cloudseg_ops.engine.images.row_blocks import row_blocks
from cloudseg_ops.engine.memory.arrays import empty

Classes = npt.NDArray[np.uint8]
"""A mask: shape (height, width), with class indices as values."""

_CLEAR_SKY = (0, 191, 255)  # CSS deepskyblue
_WHITE = (255, 255, 255)
_GOLDEN_ANGLE = 0.381966  # of a full turn, so that consecutive colors differ widely in hue


def palette(n_classes: int) -> bytes:
    """Return the RGB colors of the classes: blue for clear sky, white for cloud, distinct hues for others."""
    colors = [_CLEAR_SKY, _WHITE]
    for index in range(2, n_classes):
        rgb = colorsys.hsv_to_rgb(index * _GOLDEN_ANGLE % 1, 0.85, 0.95 if index % 2 else 0.65)
        colors.append((round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255)))
    return bytes(channel for color in colors for channel in color)


def encode_mask(classes: Classes, n_classes: int) -> bytes:
    """Encode a mask as PNG, without copying a contiguous array."""
    image = Image.fromarray(classes)
    image.putpalette(palette(n_classes))
    stream = io.BytesIO()
    # By default, Pillow writes two colors with one bit per pixel, which some readers do not return as indices.
    # Masks consist of long runs, so that RLE is several times as fast as zlib's default, with files as small.
    image.save(stream, "PNG", bits=8, compress_type=Image.RLE)
    return stream.getvalue()


def cloud_fraction(classes: Classes) -> float:
    """Return the share of cloud pixels, 0–1."""
    cloud = sum(int(np.count_nonzero(classes[rows] == CLOUD)) for rows in row_blocks(*classes.shape))
    return cloud / classes.size


Logits = npt.NDArray[np.float32]
"""Logits: shape (n_classes, height, width)."""

_BAND_PIXELS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Prediction:
    """The network's prediction for one image.

    Attributes:
        values: Classes, uint8, shape (height, width); or, if the image was scaled down for the network, logits,
            float32, shape (n_classes, height, width), at the size of the network's input.
    """

    values: Classes | Logits

    @property
    def classes(self) -> Classes:
        """Classes at the size of the network's input."""
        return cast("Classes", self.values) if self.values.ndim == 2 else classify(cast("Logits", self.values))

    def restored(self, size: tuple[int, int]) -> Classes:
        """Return the classes at the photograph's height and width.

        Logits are scaled up bilinearly (as PyTorch does with `align_corners=False`) and then classified, one block of
        rows at a time, so that there is never a large array of floats.
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
    """Return the class of each pixel: with one channel, whether the logit is above 0; with more, the argmax."""
    if logits.shape[0] == 1:
        return np.asarray(logits[0] > 0, np.uint8)
    return np.asarray(logits.argmax(axis=0), np.uint8)


def _scaled(logits: Logits, size: tuple[int, int], top: int, bottom: int) -> Logits:
    """Return rows `top` to `bottom` of the logits, scaled to another height and width."""
    _, height, width = logits.shape
    box = (0.0, top * height / size[0], float(width), bottom * height / size[0])
    band = [
        Image.fromarray(plane).resize((size[1], bottom - top), Image.Resampling.BILINEAR, box=box) for plane in logits
    ]
    return np.stack([np.asarray(plane) for plane in band])
