"""Fits a U-Net of any size so that its masks are meaningful, without hours of training.

The logits of a random network are all close to one value, so comparing bfloat16 with float32 on them says
nothing. Therefore only the hidden layers are random: batch norms get the statistics of a few scenes, and the last
block and the head are fitted to the scenes' masks, on features computed once. This takes half a minute and, up to
rounding, gives the same result on every machine.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cloudseg_local.scenes import make_scene
from cloudseg_ops.engine.network.networks import UNet

_SCENES = 16
_SIDE = 96
_BATCH = 4
_STEPS = 60
_RATE = 3e-3
_MEAN, _STD = (0.4, 0.42, 0.52), (0.24, 0.23, 0.24)


def fitted_unet(
    width: int, depth: int, *, side: int = _SIDE, steps: int = _STEPS, device: torch.device | str = "cpu"
) -> UNet:
    """Build the network for RGB images normalized as those of examples/cloud_unet."""
    torch.manual_seed(0)
    network = UNet(3, 1, width, depth)
    fit_last_layers(network, network.merge[-1], network.head, side=side, steps=steps, device=device)
    return network


def fit_last_layers(
    network: nn.Module,
    last: nn.Module,
    head: nn.Module,
    *,
    side: int = _SIDE,
    steps: int = _STEPS,
    device: torch.device | str = "cpu",
) -> None:
    """Set batch norms to the statistics of some scenes, and fit a random network's last block and head to their masks.

    Args:
        network: A segmentation network for RGB; it ends up on the CPU, in evaluation mode.
        last: Its last block.
        head: The layer that computes logits from the last block's output.
        side: Height and width of the scenes, pixels.
        steps: Steps of the optimizer.
        device: Where to compute.
    """
    network.to(device)
    images, masks = (values.to(device) for values in _scenes(side))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean of all batches
    seen: list[torch.Tensor] = []
    with torch.no_grad(), last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone())):
        network.train()(images)
        network.eval()(images)
    _fit(nn.Sequential(last, head), seen[-1], masks, steps)
    network.eval().cpu()


def fit_all_layers(
    network: nn.Module, *, side: int = _SIDE, steps: int = _STEPS, device: torch.device | str = "cpu"
) -> None:
    """Fit a whole random network to some scenes, for networks whose last layers alone cannot separate clouds from sky.

    Args:
        network: A segmentation network for RGB; it ends up on the CPU, in evaluation mode.
        side: Height and width of the scenes, pixels.
        steps: Steps of the optimizer.
        device: Where to compute.
    """
    images, masks = (values.to(device) for values in _scenes(side))
    _fit(network.to(device), images, masks, steps)
    network.eval().cpu()


def _fit(layers: nn.Module, features: torch.Tensor, masks: torch.Tensor, steps: int) -> None:
    layers.train()
    for module in layers.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.2
    optimizer = torch.optim.Adam(layers.parameters(), _RATE)
    chosen = torch.Generator().manual_seed(0)
    for _ in range(steps):
        index = torch.randint(0, len(features), (_BATCH,), generator=chosen).to(features.device)
        loss = nn.functional.binary_cross_entropy_with_logits(layers(features[index]), masks[index])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _scenes(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    scenes = [make_scene(seed, side, side) for seed in range(_SCENES)]
    images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (images - mean) / std, torch.from_numpy(np.stack([scene.mask for scene in scenes])).float()[:, None]
