"""Training and prediction of the example network."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from augment import Augmenter
from data import UNDEFINED, Example
from torch.nn import functional

from cloudseg_ops.engine.network.networks import UNet

MEAN = (0.40, 0.42, 0.52)
STD = (0.24, 0.23, 0.24)
"""Normalization of pixels scaled to 0–1: about the mean and spread of whole-sky photographs and scenes."""

_SMOOTHING = 50.0
"""Pixels added to numerator and denominator of the soft IoU, so that a crop without cloud has a gradient, too."""


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training.

    Attributes:
        steps: Number of batches.
        batch: Crops per batch.
        rate: Maximum learning rate; it rises over the first tenth of the steps, then falls along a cosine.
        generated: Share of generated scenes in a batch, if there are photographs, too.
        width: Channels of the network's first level.
        depth: Levels of the network.
        seed: Seed of the initial weights, the crops and their order.
    """

    steps: int
    batch: int = 6
    rate: float = 1.2e-2
    generated: float = 1 / 3
    width: int = 12
    depth: int = 4
    seed: int = 0


def train(recipe: Recipe, photographs: list[Example], scenes: list[Example]) -> tuple[UNet, list[float]]:
    """Train a network on photographs, scenes or both.

    Returns:
        The network, ready to predict, and the loss of each step.

    Raises:
        ValueError: There are no examples.
    """
    if not photographs and not scenes:
        raise ValueError("No training examples: give --data, or --scenes above 0.")
    torch.manual_seed(recipe.seed)
    network = UNet(3, 1, width=recipe.width, depth=recipe.depth)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.steps))
    losses, started = [], time.monotonic()
    for step, (images, labels) in enumerate(_batches(recipe, photographs, scenes), start=1):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)[:, 0]
        loss = cloud_loss(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == recipe.steps:
            recent = sum(losses[-50:]) / len(losses[-50:])
            print(f"step {step}/{recipe.steps}  loss {recent:.4f}  {time.monotonic() - started:.0f} s", flush=True)
    return network.eval(), losses


def _rate(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of the maximum."""
    warm = max(steps // 10, 1)
    return (step + 1) / warm if step < warm else 0.5 + 0.5 * math.cos(math.pi * (step - warm) / (steps - warm + 1))


def _batches(
    recipe: Recipe, photographs: list[Example], scenes: list[Example]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    rng = np.random.default_rng(recipe.seed)
    cut = Augmenter()
    from_scenes = round(recipe.batch * recipe.generated) if photographs and scenes else 0
    for _ in range(recipe.steps):
        picked = [_pick(photographs or scenes, rng) for _ in range(recipe.batch - from_scenes)]
        picked += [_pick(scenes, rng) for _ in range(from_scenes)]
        images, labels = zip(*(cut(example, rng) for example in picked), strict=True)
        yield normalize(torch.stack(images)), torch.stack(labels)


def _pick(examples: list[Example], rng: np.random.Generator) -> Example:
    return examples[int(rng.integers(len(examples)))]


def normalize(images: torch.Tensor) -> torch.Tensor:
    """Normalize images, float 0–1, shape (N, 3, H, W), to about mean 0 and standard deviation 1 per channel."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def cloud_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus half of one minus a soft IoU, over the defined pixels.

    The IoU is computed per crop, so that a small cloud in one weighs as much as an overcast sky in another.

    Args:
        logits: Float, shape (N, H, W).
        labels: Float, shape (N, H, W): 0, 1 or `UNDEFINED`.
    """
    defined = (labels != UNDEFINED).float()
    truth = labels * defined
    chance = logits.sigmoid() * defined
    overlap = (chance * truth).sum(dim=(1, 2))
    union = (chance + truth).sum(dim=(1, 2)) - overlap
    soft_iou = (overlap + _SMOOTHING) / (union + _SMOOTHING)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight=defined, reduction="sum")
    return entropy / defined.sum().clamp(min=1) + 0.5 * (1 - soft_iou).mean()


@torch.inference_mode()
def predict(network: UNet, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the probability of cloud, 0–1, shape (H, W), for one RGB image, uint8, shape (H, W, 3)."""
    height, width = image.shape[:2]
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    padding = (0, -width % network.stride, 0, -height % network.stride)
    logits = network(normalize(functional.pad(pixels, padding, mode="replicate")))
    return np.asarray(logits[0, 0, :height, :width].sigmoid().numpy())
