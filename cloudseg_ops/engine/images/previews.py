"""Small pictures for the run's report: the photograph, and next to it the same with its clouds marked."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import CLOUD, Classes

MAX_SIDE = 320
"""Longest side in pixels of each half."""

_TINT = np.array([255, 64, 129], np.float32)  # a pink that neither sky nor cloud nor ground has
_STRENGTH = 0.35
_GAP = 4


def render_preview(image: DecodedImage, classes: Classes) -> bytes:
    """Draw photograph and overlay side by side, as JPEG."""
    photograph = _thumbnail(image)
    cloud = Image.fromarray((classes == CLOUD).astype(np.uint8) * 255)
    cloud = cloud.resize(photograph.size, Image.Resampling.NEAREST)
    overlay = Image.fromarray(_overlay(np.asarray(photograph), np.asarray(cloud) > 0, _contour(cloud)))
    both = Image.new("RGB", (2 * photograph.width + _GAP, photograph.height), "white")
    both.paste(photograph, (0, 0))
    both.paste(overlay, (photograph.width + _GAP, 0))
    stream = io.BytesIO()
    both.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _thumbnail(image: DecodedImage) -> Image.Image:
    pixels = image.pixels
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)
    photograph = Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
    scale = MAX_SIDE / max(photograph.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in photograph.size)
        photograph = photograph.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return photograph


def _contour(cloud: Image.Image) -> npt.NDArray[np.bool_]:
    """Mark the cloud pixels that touch a pixel without cloud."""
    if min(cloud.size) < 3:
        return np.zeros((cloud.height, cloud.width), np.bool_)
    return np.asarray(cloud) > np.asarray(cloud.filter(ImageFilter.MinFilter(3)))


def _overlay(
    photograph: npt.NDArray[np.uint8], cloud: npt.NDArray[np.bool_], contour: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    strength = np.where(contour, 1.0, np.where(cloud, _STRENGTH, 0.0)).astype(np.float32)[..., None]
    mixed = photograph * (1 - strength) + _TINT * strength
    return np.round(mixed).astype(np.uint8)
