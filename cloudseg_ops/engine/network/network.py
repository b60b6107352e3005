"""A network ready to run, in its precision, on its device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from cloudseg_ops.engine.network import program_passes
from cloudseg_ops.engine.network.device import allow_tf32
from cloudseg_ops.engine.network.fused_layers import can_fuse, fuse_sequences


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run.

    Attributes:
        forward: Maps normalized images (N, in_channels, H, W) to logits (N, n_classes, H, W).
        device: The device that holds its weights.
        stride: H and W must be multiples of it.
        any_batch: Whether N may be any number; if not, it must be 1.
        dtype: Type of the weights and of the images passed to `forward`.
        autocast: Whether PyTorch converts the inputs of convolutions to bfloat16, whatever their type.
        tf32: Whether float32 operations run in TF32 on a GPU.
        exact: The same network in float32, if this one has a lower precision.
        narrowest: Builds the smallest network of one channel with the same receptive field; None if unknown.
        built_in: Whether it is one of cloudseg's architectures, all of which can be converted to bfloat16.
    """

    forward: nn.Module
    device: torch.device
    stride: int
    any_batch: bool = True
    dtype: torch.dtype = torch.float32
    autocast: bool = False
    tf32: bool = False
    exact: Network | None = None
    narrowest: Callable[[], nn.Module] | None = None
    built_in: bool = False

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of normalized images, float32, shape (N, in_channels, H, W), on the device."""
        if self.device.type == "cuda":
            # The switch affects the whole process; networks with different settings never run concurrently.
            allow_tf32(allowed=self.tf32)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits: torch.Tensor = self.forward(images.to(self.dtype))
        return logits

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
