"""Computes the reference masks: plain float32, one image at a time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import steps, tensors
from benchmarks.job import Job
from benchmarks.models import plain_network
from cloudseg_ops.engine.images.masks import encode_mask

_MIN_IMAGES = 2


def main(path: str, photographs: str, folder: str, seconds: str) -> None:
    """Segment as many photographs as fit the seconds, at least two, and write the masks to `folder`."""
    job = Job.read(path)
    params = job.model_params
    network = plain_network(job.network, params.arguments, job.weights)
    torch.set_num_threads(job.cpus)
    began = time.monotonic()
    for index, file in enumerate(sorted(Path(photographs).glob("*.jpg"))):
        if index >= _MIN_IMAGES and time.monotonic() - began > float(seconds):
            return
        image = steps.pixels(file.read_bytes())
        with torch.inference_mode():
            logits = network(tensors.prepare(image, params)[None])[0]
        classes = tensors.classify(logits, image.shape[0], image.shape[1], params)
        (Path(folder) / f"{index:04}.png").write_bytes(encode_mask(classes, 1))


def read_masks(folder: Path) -> list[np.ndarray[tuple[int, int], np.dtype[np.uint8]]]:
    """Read the masks that `main` wrote."""
    return [read_mask(path.read_bytes()) for path in sorted(folder.glob("*.png"))]


def read_mask(data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Read a mask's class indices, shape (H, W)."""
    import io

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def agreement(mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]], reference: object) -> float:
    """Return the share of pixels on which two masks agree; 0 if their sizes differ."""
    other = np.asarray(reference)
    return float((mask == other).mean()) if mask.shape == other.shape else 0.0
