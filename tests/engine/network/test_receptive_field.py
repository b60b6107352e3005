import io
import logging
import re
from typing import Any

import pytest
import torch
from torch import nn

from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.network.receptive_field import find_receptive_field, module_receptive_field
from tests.support.lab import tiny_unet
from tests.support.programs import exported

CPU = torch.device("cpu")


def receptive_field(network: nn.Module, stride: int = 1, in_channels: int = 3) -> int | None:
    return find_receptive_field(network.eval(), in_channels=in_channels, stride=stride, device=CPU)


def conv(size: int | tuple[int, int], channels: int = 4, **how: Any) -> nn.Conv2d:
    return nn.Conv2d(3, channels, size, padding="same" if how.get("stride", 1) == 1 else 1, **how)


@pytest.mark.parametrize(
    ("network", "stride", "expected"),
    [
        (conv(1), 1, 0),
        (conv(3), 1, 1),
        (conv(7), 1, 3),
        (conv(3), 4, 4),
        (conv((3, 9)), 1, 4),
        (conv((9, 3)), 1, 4),
        (conv(3, dilation=50), 1, 50),
        (conv(3, dilation=1000), 1, 1000),
        (nn.Sequential(conv(3), nn.Conv2d(4, 1, 3, padding="same", dilation=400)), 1, 401),
        (conv(3, dilation=9, padding_mode="reflect"), 1, 9),
        (nn.Sequential(conv(3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 1, 1)), 1, 2),
        (nn.Sequential(conv(3, stride=2), nn.Upsample(scale_factor=2, mode="bilinear")), 2, 4),
        (nn.Sequential(nn.AvgPool2d(8), conv(3), nn.ConvTranspose2d(4, 1, 8, stride=8)), 8, 8),
    ],
)
def test_receptive_field_is_measured(network: nn.Module, stride: int, expected: int) -> None:
    assert receptive_field(network, stride) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "expected"), [(1, 8), (2, 24), (3, 48), (4, 96), (5, 192)])
def test_receptive_field_of_the_built_in_network(depth: int, expected: int) -> None:
    assert module_receptive_field(UNet(1, 1, 1, depth), 2**depth) == expected
    # A wide one, after training, with channels last.
    network = UNet(3, 2, width=6, depth=depth).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert receptive_field(network, network.stride) == expected


def influenced(network: UNet, side: int, block: int) -> torch.Tensor:
    """Find pixels whose logits have a gradient with respect to a block on the diagonal: the definition, in float64."""
    images = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    logits = network(images)
    found = torch.zeros(side)
    stride = network.stride
    for place in range(side):
        (gradient,) = torch.autograd.grad(logits[0, 0, place].sum(), images, retain_graph=True)
        found[place] = (gradient[..., block : block + stride, :] != 0).any()
    return found.nonzero().flatten()


@pytest.mark.slow
def test_receptive_field_matches_gradients() -> None:
    network = tiny_unet().double()
    block = 32
    found = influenced(network, 68, block)
    farthest = max(block - int(found[0]), int(found[-1]) + 1 - block - network.stride)
    assert 24 - network.stride < farthest <= 24


def test_receptive_field_of_an_exported_program() -> None:
    program = torch.export.load(io.BytesIO(exported(tiny_unet(), batch=1))).module()
    assert find_receptive_field(program, in_channels=3, stride=4, device=CPU) == 24


class RejectsSmall(nn.Module):
    """Rejects small images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if min(images.shape[2:]) < 200:
            raise ValueError("too small")
        return self.conv(images)  # type: ignore[no-any-return]


def test_network_that_rejects_small_images_is_measured() -> None:
    assert receptive_field(RejectsSmall()) == 1


class RejectsLarge(nn.Module):
    """Rejects large images."""

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        self.conv, self.side = conv(size), side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if max(images.shape[2:]) > self.side:
            raise ValueError("too large")
        return self.conv(images)  # type: ignore[no-any-return]


def test_network_that_rejects_large_images_is_measured() -> None:
    assert receptive_field(RejectsLarge(81, 130)) == 40


class Fails(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ValueError(f"never {tuple(images.shape)}")


class Global(nn.Module):
    """Adds the mean of the whole image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + images.mean(dim=(2, 3), keepdim=True)


class Bins(nn.Module):
    """Adds means over ninths of the image, whose size depends on that of the image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + nn.functional.interpolate(nn.functional.adaptive_avg_pool2d(images, 9), images.shape[2:])


class DependsOnPosition(nn.Module):
    """Depends on the position of each pixel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + torch.linspace(-1, 1, images.shape[3])


class HidesNan(nn.Module):
    """Hides NaN in the branch with the large receptive field."""

    def __init__(self, near: nn.Module) -> None:
        super().__init__()
        self.near, self.far = near, conv(9)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.near(images) + self.far(images.nan_to_num())  # type: ignore[no-any-return]


class Threshold(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images > 0).float()


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Global(), "more than 1025 pixels"),
        (nn.Sequential(conv(3), nn.InstanceNorm2d(4)), "more than 1025 pixels"),
        (Bins(), "part of an image"),
        (DependsOnPosition(), "part of an image"),
        (conv(3, padding_mode="circular"), "part of an image"),
        (HidesNan(conv(3)), "part of an image"),
        (Threshold(), "NaN"),
        (RejectsLarge(81, 65), "more than 32 pixels"),
        (RejectsLarge(61, 65), r"fails on an image of 66 pixels \(ValueError: too large"),
        (Fails(), r"fails on small images \(ValueError: never"),
    ],
)
def test_networks_that_cannot_be_tiled(network: nn.Module, why: str, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(1)
    with caplog.at_level(logging.WARNING):
        assert receptive_field(network) is None
    (record,) = caplog.records
    assert "large images stay whole" in record.getMessage()
    assert re.search(why, record.getMessage())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "operation",
    [
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ConvTranspose2d(8, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.Hardswish(),
        nn.GELU(),
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 1, 1),
        nn.AvgPool2d(2),
    ],
    ids=str,
)
def test_operations_propagate_nan(operation: nn.Module, layout: torch.memory_format, dtype: torch.dtype) -> None:
    images = torch.randn(1, 8, 32, 32)
    images[:, :, 16:18, 12:14] = float("nan")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        marked = operation.eval()(images.contiguous(memory_format=layout)).isnan()
    scale = 32 // marked.shape[2]
    assert marked[:, :, 16 // scale, 12 // scale].all()
    assert not marked.all()
