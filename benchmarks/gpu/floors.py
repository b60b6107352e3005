"""Computes the theoretical floor: operations and minimum bytes moved, against the GPU's peaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

BF16_BYTES = 2
_LAYERS = ("convolution", "max_pool2d", "cat", "upsample")
"""Operations that write an activation; a norm and a ReLU can be fused into the convolution before them."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The peaks in a GPU's data sheet.

    Attributes:
        name: The GPU.
        flops: Dense bfloat16 operations per second.
        bandwidth: Memory bandwidth, bytes per second.
    """

    name: str
    flops: float
    bandwidth: float


_PEAKS = (Peak("H200", 990e12, 4.8e12), Peak("H100", 990e12, 3.35e12))


def peak_of(device_name: str) -> Peak:
    """Return a GPU's peak; for an unknown GPU, that of the H100."""
    return next((peak for peak in _PEAKS if peak.name in device_name), _PEAKS[-1])


@dataclass(frozen=True, slots=True)
class Work:
    """The cost of one image in a network.

    Attributes:
        flops: Operations; a multiply-add counts as two.
        edge_bytes: Bytes of input and output, bfloat16.
        layer_bytes: Bytes of the input and of each layer's activation, written once and read once.
        weight_bytes: Bytes of the weights, which a batch reads once.
    """

    flops: float
    edge_bytes: float
    layer_bytes: float
    weight_bytes: float

    def seconds(self, peak: Peak, batch: int, *, layers: bool = False) -> float:
        """Return the minimum seconds per image, assuming that computation and memory transfers overlap.

        Args:
            peak: The GPU.
            batch: Images for which the weights are read once.
            layers: Count every layer's activation, not only input and output.
        """
        moved = (self.layer_bytes if layers else self.edge_bytes) + self.weight_bytes / batch
        return max(self.flops / peak.flops, moved / peak.bandwidth)


class _Activations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the elements of the activations that layers write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if any(name in func.__name__ for name in _LAYERS):
            written = result[0] if isinstance(result, tuple) else result
            self.elements += written.numel()
        return result


def count_work(network: nn.Module, side: int) -> Work:
    """Count the work for one RGB image of `side` × `side` pixels, without computing anything."""
    meta_network = network.to("meta")
    image = torch.zeros(1, 3, side, side, device="meta")
    forward: Callable[[torch.Tensor], torch.Tensor] = meta_network
    with torch.no_grad(), FlopCounterMode(display=False) as flops, _Activations() as activations:
        logits = forward(image)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return Work(
        flops=float(flops.get_total_flops()),
        edge_bytes=BF16_BYTES * (image.numel() + logits.numel()),
        layer_bytes=BF16_BYTES * (image.numel() + 2 * activations.elements),
        weight_bytes=BF16_BYTES * weights,
    )
