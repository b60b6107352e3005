"""Built-in network architectures, each a plain `torch.nn.Module` from images to logits."""

from itertools import pairwise

import torch
from torch import nn


def _double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """U-Net: an encoder that halves the image `depth` times and a decoder with skip connections.

    The architecture is that of Ronneberger et al., 2015 (arXiv:1505.04597), with padded convolutions and batch
    normalization; 31 M parameters at `width=64, depth=4`.

    Args:
        in_channels: Channels of the images, 1 (grey) or 3 (RGB).
        n_classes: Channels of the logits: 1 (sigmoid: cloud or not) or the number of classes (argmax).
        width: Channels after the first convolution; they double at each level.
        depth: Number of times the image is halved.
    """

    def __init__(self, in_channels: int, n_classes: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = _double_conv(in_channels, widths[0])
        self.down = nn.ModuleList(_double_conv(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.merge = nn.ModuleList(_double_conv(2 * a, a) for a in widths[-2::-1])
        self.head = nn.Conv2d(widths[0], n_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch.

        Args:
            images: Normalized images, float, shape (N, in_channels, H, W); H and W are multiples of `stride`.

        Returns:
            Logits, float, shape (N, n_classes, H, W).
        """
        features = self.stem(images)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(nn.functional.max_pool2d(features, 2))
        for up, merge in zip(self.up, self.merge, strict=True):
            features = merge(torch.cat([skips.pop(), up(features)], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits
