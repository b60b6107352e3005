"""Optimizes networks for a GPU: fused bias and ReLU, and a CUDA graph of the whole forward pass."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

WARM_PASSES = 3


class ConvRelu(nn.Module):
    """A convolution, its bias and a ReLU in one cuDNN kernel, which saves two passes over the activations."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H, W); GPU only."""
        conv = self.conv
        # Never a string such as `same` in the networks measured here.
        padding = cast("tuple[int, ...]", conv.padding)
        activations: torch.Tensor = torch.cudnn_convolution_relu(
            images, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups
        )
        return activations


def fused(network: nn.Module) -> nn.Module:
    """Replace each convolution followed by a ReLU, in place, in a network with folded batch norms."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        last: tuple[int, nn.Conv2d] | None = None
        for index, layer in enumerate(block):
            if isinstance(layer, nn.Conv2d):
                last = (index, layer)
            elif isinstance(layer, nn.ReLU) and last:
                block[last[0]], block[index], last = ConvRelu(last[1]), nn.Identity(), None
            elif not isinstance(layer, nn.Identity):
                last = None
    return network


class Graph:
    """A CUDA graph of a forward pass over batches of one shape.

    It keeps a reference to the network, because the graph has only the addresses of the weights.
    """

    def __init__(self, network: nn.Module, images: torch.Tensor) -> None:
        self._network = network
        self._images = images.clone(memory_format=torch.preserve_format)
        with torch.inference_mode():
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_PASSES):
                    network(self._images)
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._logits: torch.Tensor = network(self._images)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, which the next call overwrites."""
        self._images.copy_(images)
        self._graph.replay()
        return self._logits
