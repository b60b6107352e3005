"""Layers whose activation is computed by oneDNN on the CPU while the result is still in the processor's registers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

Activation = tuple[str, list[float], str]
"""oneDNN's name of an activation, its arguments, and its algorithm."""
NOT_FUSED: Activation = ("none", [], "")
RELU: Activation = ("leaky_relu", [1e-30], "")
"""oneDNN's ReLU makes NaN 0, which would hide that a pass overflowed; its leaky ReLU keeps NaN. With this slope,
negative values become at most 1e-10 unless they are below -1e20; minus infinity stays infinite, which is reported. A
slope below 1e-37 would give subnormal numbers, with which processors are slow."""


def can_fuse(device: torch.device) -> bool:
    """Return whether this PyTorch has oneDNN, and oneDNN computes in bfloat16 on this device."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class ConvolutionWithReLU(nn.Module):
    """A convolution and the ReLU behind it.

    Args:
        layer: The convolution, padded with zeros by numbers of pixels.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        self._sizes = [list(size) for size in (layer.padding, layer.stride, layer.dilation)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the ReLU returns."""
        layer = self.layer
        result: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            images, layer.weight, layer.bias, *self._sizes, layer.groups, *RELU
        )
        return result


def fuse_sequences(network: nn.Module) -> None:
    """Fuse each convolution in a sequence with the ReLU behind it, in place; identities between them do not matter."""
    for block in list(network.modules()):
        if not isinstance(block, nn.Sequential):
            continue
        places = [place for place, layer in enumerate(block) if not isinstance(layer, nn.Identity)]
        for place, following in pairwise(places):
            layer = block[place]
            # Not a subclass, which may compute something else.
            if type(layer) is nn.Conv2d and _pads_with_zeros(layer) and isinstance(block[following], nn.ReLU):
                block[place], block[following] = ConvolutionWithReLU(layer), nn.Identity()


def _pads_with_zeros(layer: nn.Conv2d) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
