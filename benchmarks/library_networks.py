"""Networks of popular libraries, exported once by `python -m benchmarks.library_networks NAME FILE`.

This module runs in an environment that has the libraries, `.cloudseg/model-venv`, with a newer PyTorch than the
engine's. All contenders load the program that it writes. The networks are fitted to a few scenes, which takes a minute:
the logits of a random network are all close to one value.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from benchmarks.fitting import fit_all_layers
from benchmarks.resnet_unet import STRIDE
from cloudseg_ops.export import export_network


class _FullSize(nn.Module):
    """SegFormer's logits, a quarter of the image's height and width, scaled up as its documentation does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.network(pixel_values=images).logits
        return nn.functional.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _smp_unet() -> nn.Module:
    import segmentation_models_pytorch as smp

    network: nn.Module = smp.Unet("resnet34", encoder_weights=None, in_channels=3, classes=1)
    return network


def _smp_deeplab() -> nn.Module:
    import segmentation_models_pytorch as smp

    network: nn.Module = smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None, in_channels=3, classes=1)
    return network


def _segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    # The defaults of the configuration are those of SegFormer-B0.
    return _FullSize(SegformerForSemanticSegmentation(SegformerConfig(num_labels=1)))


NETWORKS = {"unet34": _smp_unet, "deeplab": _smp_deeplab, "segformer": _segformer}
"""A ResNet-34 U-Net and DeepLabV3+ with MobileNet of segmentation-models-pytorch, and SegFormer-B0 of transformers."""


def build(name: str) -> nn.Module:
    """Build a network of `NETWORKS` and fit it; the same on each call."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    fit_all_layers(network)
    return network.eval().requires_grad_(requires_grad=False)


def main(name: str, path: str) -> None:
    """Write the exported program of a network."""
    # As docs/models.md recommends; it compares the program with the network before it is written.
    export_network(build(name), path, multiple=STRIDE)


if __name__ == "__main__":
    main(*sys.argv[1:])
