"""Small pictures for the run's report: the photograph, and beside it the same with its clouds marked."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD, draw_pair, to_jpeg
from cloudseg_ops.contracts.photographs import fit_size
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Classes

MAX_SIDE = 320
"""Longest side in pixels of each half."""


def render_preview(image: DecodedImage, classes: Classes) -> bytes:
    """Draw photograph and overlay side by side, as JPEG."""
    cloud = Image.fromarray((classes == CLOUD).astype(np.uint8) * 255)
    return to_jpeg(draw_pair(_thumbnail(image), cloud))


def _thumbnail(image: DecodedImage) -> Image.Image:
    pixels = image.pixels
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)
    photograph = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    size = fit_size(photograph.size, MAX_SIDE)
    if size != photograph.size:
        photograph = photograph.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return photograph
