"""Creates a workload's model, photographs, and reference masks of a plain float32 pass on the CPU."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import steps, tensors
from benchmarks.gpu.context import Context, Workload
from benchmarks.models import Model, open_model, plain_network
from benchmarks.photographs import open_photographs

_REFERENCE_PIXELS = 4 * 256 * 256
"""Approximate number of pixels to compare; at least two images."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One workload, opened.

    Attributes:
        model: Its model.
        files: Its photographs.
        images: Network inputs of the photographs: float32, shape (N, 3, H, W), on the CPU.
        masks: Reference classes of the first few photographs, bool, shape (n, H, W).
    """

    model: Model
    files: list[bytes]
    images: torch.Tensor
    masks: npt.NDArray[np.bool_]


def open_sample(context: Context, workload: Workload) -> Sample:
    """Open a workload, and create its files if they do not exist yet; all parts share them."""
    model = open_model(workload.model, context.work, context.device)
    files = open_photographs(str(workload.side), workload.file_bytes, context.work).files()
    images = torch.stack([tensors.prepare(steps.pixels(data), model.params) for data in files])
    path = context.work / f"masks-{workload.name}.npy"
    if not path.exists():
        count = max(2, min(len(images), _REFERENCE_PIXELS // workload.side**2))
        draft = path.with_suffix(".draft.npy")
        np.save(draft, _masks(model, images[:count]))
        draft.replace(path)
    return Sample(model, files, images, np.load(path))


def _masks(model: Model, images: torch.Tensor) -> npt.NDArray[np.bool_]:
    network = plain_network(model.network, model.params.arguments, str(model.weights))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with torch.inference_mode():
        masks: npt.NDArray[np.bool_] = torch.cat([network(image[None]) for image in images])[:, 0].numpy() > 0
    return masks


def repeat_to_batch(images: torch.Tensor, batch: int) -> torch.Tensor:
    """Return a batch of these images, repeated from the first one if there are too few."""
    return images[torch.arange(batch) % len(images)]
