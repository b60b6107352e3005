"""The optimizations of `--generous` for the frameworks: the engine's network preparation, and batches by shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cloudseg_ops.engine.network import program_folding
from cloudseg_ops.engine.network.program_graphs import graph_modules
from cloudseg_ops.engine.network.program_passes import in_bf16, prepare_program


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution before it, in place; in an exported program, as the engine does."""
    for module in graph_modules(network):
        program_folding.fold_batch_norms(module)
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for index in range(len(block) - 1):
                conv, norm = block[index], block[index + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[index], block[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network


class PreparedNetwork(nn.Module):
    """A network with folded batch norms and channels last that computes in bfloat16."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._is_program = any(graph_modules(network))
        if self._is_program:
            prepare_program(network)
            self.network = in_bf16(network, torch.device("cpu"))
        else:
            folded = fold_batch_norms(network)
            self.network = folded.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 logits."""
        images = images.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._is_program):
            logits: torch.Tensor = self.network(images)
        return logits.float()


def prepare_network(network: nn.Module) -> nn.Module:
    """Apply these optimizations to a loaded network."""
    return PreparedNetwork(network)


def grouped_forward(network: nn.Module, images: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Forward images, each (3, H, W), in one batch per shape; return logits in the order of the images."""
    places: dict[torch.Size, list[int]] = {}
    for index, image in enumerate(images):
        places.setdefault(image.shape, []).append(index)
    outputs: dict[int, torch.Tensor] = {}
    with torch.inference_mode():
        for indices in places.values():
            logits = network(torch.stack([images[index] for index in indices]))
            outputs.update(zip(indices, logits, strict=True))
    return [outputs[index] for index in range(len(images))]
