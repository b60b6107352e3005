"""Exported programs for the engine's tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cloudseg_ops.contracts.model_ref import ModelParams


class Brightness(nn.Module):
    """Predicts cloud where the mean over the normalized channels is above 0.5."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1, keepdim=True) - 0.5


class Head(nn.Module):
    """A convolution with two heads, whose outputs are returned in some form.

    Args:
        returns: Function from the scores (N, n_classes, H, W) and an auxiliary output to what `forward` returns.
        n_classes: Number of classes.
        channels: Number of channels of the images.
    """

    def __init__(
        self, returns: Callable[[torch.Tensor, torch.Tensor], Any], n_classes: int = 1, channels: int = 3
    ) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.head = nn.Conv2d(4, n_classes, 1)
        self.aux = nn.Conv2d(4, n_classes, 1)
        self.returns = returns
        with torch.no_grad():
            self.head.bias -= self.scores(torch.rand(1, channels, 32, 32)).mean(dim=(0, 2, 3)) / 20  # type: ignore[operator]

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = 20 * self.head(torch.relu(self.conv(images)))
        return scores

    def forward(self, images: torch.Tensor) -> Any:
        return self.returns(self.scores(images), self.aux(torch.relu(self.conv(images))))


class Sensitive(nn.Module):
    """Infinite for black pixels; in bfloat16, which rounds its weights, for white ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1 + 2**-9, 0.0, 0.0]).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.log(self.conv(images) - images[:, :1]) + 7.5


def exported(network: nn.Module, *, batch: int | None = None, multiple: int = 4, least: int = 1) -> bytes:
    """Export a program whose H and W are multiples of `multiple`, at least `least` of them; batch None: any N."""
    height, width = torch.export.Dim("h", min=least, max=256), torch.export.Dim("w", min=least, max=256)
    dims: dict[int, Any] = {2: multiple * height, 3: multiple * width}
    if batch is None:
        dims[0] = torch.export.Dim("n", min=1, max=64)
    example = torch.rand(batch or 2, 3, 8 * multiple, 6 * multiple)
    return saved(network, example, dims)


def saved(network: nn.Module, example: torch.Tensor, dims: dict[int, Any] | None = None, **kwargs: Any) -> bytes:
    """Export and save a program; without `dims`, it takes only images of the example's shape.

    With `keyword`, the images are an argument of that name.
    """
    name = kwargs.get("keyword")
    program = torch.export.export(
        network.eval(),
        () if name else (example,),
        {name: example} if name else None,
        dynamic_shapes=({name: dims} if name else (dims,)) if dims else None,
    )
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


def exported_params(size_multiple: int | None = 4, **more: Any) -> ModelParams:
    return ModelParams.model_validate(
        {"architecture": "exported", "in_channels": 3, "n_classes": 1, "size_multiple": size_multiple, **more}
    )
