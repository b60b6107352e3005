"""Random crops for training, with random rotation, scale, mirroring and lighting."""

from dataclasses import dataclass

import numpy as np
import torch
from data import UNDEFINED, Example
from torch.nn import functional

_GREY_SHARE = 0.02


@dataclass(frozen=True)
class Augmenter:
    """Cuts random square crops.

    Attributes:
        side: Pixels of a crop's side.
        zoom: Minimum and maximum number of source pixels per pixel of the crop.
    """

    side: int = 144
    zoom: tuple[float, float] = (0.7, 1.8)

    def __call__(self, example: Example, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut one crop.

        Returns:
            The image, float 0–1, shape (3, side, side), and its label, float, shape (side, side); pixels outside
            the source are black and undefined.
        """
        height, width = example.label.shape
        image = torch.from_numpy(example.image.copy()).permute(2, 0, 1)[None].float() / 255
        # Shifted by one, so that the zeros with which grid_sample pads differ from every label.
        label = torch.from_numpy(example.label.copy())[None, None].float() + 1
        grid = self._grid(rng, width, height)
        image = functional.grid_sample(image, grid, align_corners=False)[0]
        label = functional.grid_sample(label, grid, mode="nearest", align_corners=False)[0, 0]
        label = torch.where(label == 0, float(UNDEFINED), label - 1)
        return _relight(image, rng), label

    def _grid(self, rng: np.random.Generator, width: int, height: int) -> torch.Tensor:
        zoom = np.exp(rng.uniform(*np.log(self.zoom)))
        angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.1)
        stretch = np.exp(rng.normal(0, 0.08))
        mirror = rng.choice([-1.0, 1.0])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        pixels = turn @ np.diag([mirror * stretch, 1 / stretch]) * zoom * self.side / 2
        room = np.maximum(np.array([width, height]) / 2 - zoom * self.side / 2, 0) + 0.08 * width
        shift = rng.uniform(-room, room)
        affine = np.column_stack([pixels, shift]) / np.array([[width / 2], [height / 2]])
        return functional.affine_grid(
            torch.tensor(affine[None], dtype=torch.float32), [1, 1, self.side, self.side], align_corners=False
        )


def _relight(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change exposure, contrast, white balance and saturation, and add noise."""
    gain = torch.tensor(np.exp(rng.normal(0, 0.03, (3, 1, 1)) + rng.normal(0, 0.1)), dtype=torch.float32)
    image = (image * gain).clamp(0, 1) ** float(np.exp(rng.normal(0, 0.1)))
    saturation = 0.0 if rng.random() < _GREY_SHARE else rng.uniform(0.85, 1.15)
    grey = image.mean(dim=0, keepdim=True)
    image = grey + (image - grey) * saturation
    noise = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.015), tuple(image.shape)).astype(np.float32))
    return (image + noise).clamp(0, 1)
