"""A network ready to run, in its precision, on its device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from cloudseg_ops.contracts.model_ref import ModelParams
from cloudseg_ops.engine.network import program_passes
from cloudseg_ops.engine.network.device import allow_tf32
from cloudseg_ops.engine.network.fused_layers import can_fuse, fuse_sequences
from cloudseg_ops.engine.network.outputs import Output


@dataclass(frozen=True, slots=True)
class InputSize:
    """The only size of images that a network is given, before padding.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        fit: How photographs get it: `resize` stretches them to it, `tile` cuts them into tiles of it.
        is_fixed: Whether the network takes no other size.
    """

    height: int
    width: int
    fit: Literal["resize", "tile"]
    is_fixed: bool = False


def tile_size(params: ModelParams) -> InputSize | None:
    """Return the size of the tiles for a network that takes images of any size, if the parameters say one.

    With `fit: resize`, every photograph is resized when it is decoded, so the network need not know.
    """
    return InputSize(*params.input_size, "tile") if params.input_size and params.fit == "tile" else None


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run.

    Attributes:
        forward: Maps normalized images (N, in_channels, H, W) to what `output` reads.
        device: The device that holds its weights.
        output: How to read what `forward` returns.
        stride: H and W are padded to multiples of it.
        batch: The only N that it takes; None: any from `fewest` on.
        fewest: The smallest N that it takes.
        size: The only H and W that it is given; None: any.
        least: Smallest H and W that it takes; smaller images are padded.
        most: Largest H and W that it takes; None: any.
        dtype: Type of the images passed to `forward`.
        autocast: Whether PyTorch converts the inputs of convolutions to bfloat16, whatever their type.
        tf32: Whether float32 operations run in TF32 on a GPU.
        exact: The same network in float32, if this one has a lower precision.
        narrowest: Builds the smallest network of one channel with the same receptive field; None if unknown.
        built_in: Whether it is one of cloudseg's architectures, all of which can be converted to bfloat16.
    """

    forward: nn.Module
    device: torch.device
    output: Output
    stride: int = 1
    batch: int | None = None
    fewest: int = 1
    size: InputSize | None = None
    least: tuple[int, int] = (1, 1)
    most: tuple[int, int] | None = None
    dtype: torch.dtype = torch.float32
    autocast: bool = False
    tf32: bool = False
    exact: Network | None = None
    narrowest: Callable[[], nn.Module] | None = None
    built_in: bool = False

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores of normalized images, float32, shape (N, in_channels, H, W), on the device.

        They have shape (N, n_classes, H, W): with one class, cloud is where they are above 0; with more, the argmax.

        Raises:
            ModelLoadError: The network's output is not a tensor of a shape that the parameters allow.
        """
        size = (images.shape[0], *images.shape[2:])
        if size[0] == self.batch or (self.batch is None and size[0] >= self.fewest):
            return self.output.scores(self.raw(images), size)
        most = self.batch or self.fewest
        parts = [self.run(self._full(images[first : first + most])) for first in range(0, size[0], most)]
        return torch.cat(parts)[: size[0]] if len(parts) > 1 else parts[0][: size[0]]

    def raw(self, images: torch.Tensor) -> Any:
        """Return what the network itself returns for as many images as it takes."""
        if self.device.type == "cuda":
            # The switch affects the whole process; networks with different settings never run concurrently.
            allow_tf32(allowed=self.tf32)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return self.forward(images.to(self.dtype))

    def _full(self, images: torch.Tensor) -> torch.Tensor:
        """Return a batch of the size that the network takes; the last image is repeated to fill it."""
        missing = self.fewest - images.shape[0]
        return torch.cat([images, images[-1:].expand(missing, -1, -1, -1)]) if missing > 0 else images

    @property
    def any_batch(self) -> bool:
        """Whether N may be any number."""
        return self.batch is None

    @property
    def bf16(self) -> bool:
        """Whether convolutions are computed in bfloat16."""
        return self.autocast or self.dtype == torch.bfloat16

    @property
    def precision(self) -> str:
        """Name of its precision: `bfloat16`, `bfloat16 in convolutions`, `TF32` or `float32`."""
        if self.dtype == torch.bfloat16:
            return "bfloat16"
        return "bfloat16 in convolutions" if self.autocast else "TF32" if self.tf32 else "float32"

    def in_bf16(self) -> Network:
        """Return a copy of this network that computes in bfloat16.

        An exported program's operations may convert their results to float32. Autocast converts them back in front of
        the next convolution.
        """
        if self.built_in:
            converted = copy.deepcopy(self.forward).to(torch.bfloat16)
            if can_fuse(self.device):
                fuse_sequences(converted)
            return replace(self, forward=converted, dtype=torch.bfloat16, exact=self)
        converted = program_passes.in_bf16(self.forward, self.device)
        return replace(self, forward=converted, dtype=torch.bfloat16, autocast=True, exact=self)

    def with_bf16_convolutions(self) -> Network:
        """Return a copy of an exported program that computes convolutions and linear layers in bfloat16."""
        converted = program_passes.with_bf16_convolutions(self.forward, self.device)
        return replace(self, forward=converted, autocast=True, exact=self)

    def in_tf32(self) -> Network:
        """Return this network with float32 operations computed in TF32."""
        return replace(self, tf32=True, exact=self)
