"""Pictures for tests that need neither PyTorch nor buckets."""

import io
from typing import Any

import numpy as np
from PIL import Image


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, image_format: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **how)
    return stream.getvalue()
