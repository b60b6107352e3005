"""A U-Net with a ResNet-34 encoder, a widely used network, in plain PyTorch.

The encoder is that of He et al., 2015 (arXiv:1512.03385). The decoder doubles the size five times (nearest neighbor),
each time concatenates the encoder's features of that size, and convolves twice.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

_BLOCKS = (3, 4, 6, 3)
STRIDE = 32
"""Heights and widths must be multiples of it."""


def _conv_norm(in_channels: int, out_channels: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


class _Residual(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(in_channels, out_channels, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(out_channels, out_channels, 3),
        )
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv_norm(in_channels, out_channels, 1, stride))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.body(features) + self.shortcut(features), inplace=True)


def _double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv_norm(in_channels, out_channels, 3),
        nn.ReLU(inplace=True),
        *_conv_norm(out_channels, out_channels, 3),
        nn.ReLU(inplace=True),
    )


class ResNetUNet(nn.Module):
    """The network for RGB images; 24 M parameters at `width=64`.

    Args:
        width: Channels of the encoder's first stage; they double at each of the next three.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(len(_BLOCKS))]
        self.stem = nn.Sequential(*_conv_norm(3, width, 7, 2), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    _Residual(before if not index else after, after, stride if not index else 1)
                    for index in range(count)
                )
            )
            for count, stride, before, after in zip(_BLOCKS, (1, 2, 2, 2), [width, *widths], widths, strict=False)
        )
        skips = [*widths[-2::-1], width, 0]
        outs = [*widths[-2::-1], width // 2, width // 4]
        self.merge = nn.ModuleList(
            _double_conv(before + skip, after)
            for (before, after), skip in zip(pairwise([widths[-1], *outs]), skips, strict=True)
        )
        self.head = nn.Conv2d(outs[-1], 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 3, H, W), H and W multiples of `STRIDE`, to logits (N, 1, H, W)."""
        features = self.stem(images)
        skips = [features]
        features = self.pool(features)
        for stage in self.stages:
            features = stage(features)
            skips.append(features)
        skips.pop()
        for merge in self.merge:
            features = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            if skips:
                features = torch.cat([features, skips.pop()], dim=1)
            features = merge(features)
        logits: torch.Tensor = self.head(features)
        return logits


def export_program(network: nn.Module) -> torch.export.ExportedProgram:
    """Export it for any number of images whose height and width are multiples of `STRIDE`."""
    from torch.fx.experimental import _config

    rows, columns = torch.export.Dim("rows", min=1, max=512), torch.export.Dim("columns", min=1, max=512)
    dynamic = {0: torch.export.Dim("n", min=1), 2: STRIDE * rows, 3: STRIDE * columns}
    # Otherwise the program would refuse images of one stride: their deepest features are of size 1, which could
    # mean a broadcast.
    with torch.no_grad(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(network, (torch.zeros(2, 3, 64, 96),), dynamic_shapes=(dynamic,))
