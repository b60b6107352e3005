import io
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from cloudseg_ops.engine.images.pixels import Pixels
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.network.receptive_field import find_receptive_field, module_receptive_field
from cloudseg_ops.engine.network.tiling import classes_of, plan_tiles, segment_tiled
from tests.engine.peaks import peak_bytes
from tests.support.lab import noise, tiny_unet
from tests.support.programs import exported

Logits = npt.NDArray[np.float32]


def unet(depth: int, in_channels: int = 3, n_classes: int = 1) -> UNet:
    """A network after a little training, whose logits have both signs."""
    torch.manual_seed(depth)
    network = UNet(in_channels, n_classes, width=4, depth=depth).train()
    typical = torch.rand(4, in_channels, 8 * network.stride, 8 * network.stride)
    with torch.no_grad():
        for _ in range(3):
            network(typical)
        network.eval()
        assert network.head.bias is not None
        network.head.bias -= network(typical).mean(dim=(0, 2, 3))
    return network


def picture(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Noise on a gradient, so that distant positions differ."""
    slope = np.linspace(0, 120, width) + np.linspace(-60, 60, height)[:, None]
    grain = noise(width, height, channels).reshape(height, width, channels) / 2
    return np.clip(grain + slope[..., None], 0, 255).astype(np.uint8)


class Computer:
    """Calls a network as the engine does, and records the calls."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, windows: Sequence[Pixels]) -> torch.Tensor:
        images = torch.stack([torch.from_numpy(np.ascontiguousarray(window)) for window in windows]).float()
        if windows[0].dtype == np.uint8:
            images /= 255
        self.batches.append(tuple(images.shape))
        with torch.inference_mode():
            logits: torch.Tensor = self._network(images.permute(0, 3, 1, 2))
        return logits


def whole_logits(network: nn.Module, frame: Pixels, stride: int) -> Logits:
    height, width = frame.shape[:2]
    padded = cast("Pixels", np.pad(frame, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge"))
    logits: Logits = Computer(network)([padded])[0, :, :height, :width].numpy()
    return logits


def tiled_logits(
    network: nn.Module, frame: Pixels, *, stride: int, halo: int | None, max_pixels: int, batch: int = 3
) -> Logits:
    height, width = frame.shape[:2]
    tiles = plan_tiles(height, width, stride=stride, halo=halo, max_pixels=max_pixels)
    assert len(tiles) > 1
    n_classes = Computer(network)([frame[: 4 * stride, : 4 * stride]]).shape[1]
    out = np.full((n_classes, height, width), np.nan, np.float32)
    segment_tiled(frame, tiles, Computer(network), out, batch=batch)
    return out


def relative_difference(some: Logits, others: Logits) -> float:
    """Largest difference, as a share of the largest logit."""
    return float(np.abs(some - others).max() / np.abs(others).max())


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [1, 5])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize(
    ("depth", "size", "max_pixels"),
    [
        (1, (101, 203), 2_000),
        (2, (301, 243), 12_000),
        (2, (60, 401), 10_000),  # split along its width only, ...
        (2, (402, 33), 6_000),  # ... and along its height
        (3, (333, 222), 30_000),
        (4, (497, 460), 100_000),
    ],
)
def test_tiles_give_the_logits_of_the_whole_image(
    depth: int, size: tuple[int, int], max_pixels: int, in_channels: int, n_classes: int
) -> None:
    network = unet(depth, in_channels, n_classes)
    frame = picture(*size, in_channels)
    expected = whole_logits(network, frame, network.stride)
    how: dict[str, Any] = {
        "stride": network.stride,
        "halo": module_receptive_field(UNet(1, 1, 1, depth), 2**depth),
        "max_pixels": max_pixels,
    }
    assert relative_difference(tiled_logits(network, frame, **how), expected) < 1e-5
    classes = np.full(size, 99, np.uint8)
    segment_tiled(frame, plan_tiles(*size, **how), Computer(network), classes, batch=2)
    wanted = classes_of(torch.from_numpy(expected)[None])[0].numpy()
    assert len(np.unique(wanted)) > 1
    assert (classes == wanted).mean() > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "halo", "least"),
    # No halo, half of it, and one block less than needed.
    [(1, 0, 0.1), (2, 0, 0.1), (3, 0, 0.1), (1, 4, 0.01), (2, 12, 1e-4), (3, 24, 3e-5), (1, 6, 1e-3), (2, 20, 1e-5)],
)
def test_too_small_halo_gives_visible_seams(depth: int, halo: int, least: float) -> None:
    network = unet(depth)
    frame = picture(301, 243)
    got = tiled_logits(network, frame, stride=network.stride, halo=halo, max_pixels=30_000)
    assert relative_difference(got, whole_logits(network, frame, network.stride)) > least


def test_float_pixels_give_the_same_logits_in_tiles() -> None:
    network = unet(2)
    frame = picture(101, 143).astype(np.float32) / np.float32(255)
    got = tiled_logits(network, frame, stride=4, halo=24, max_pixels=6_000)
    assert relative_difference(got, whole_logits(network, frame, 4)) < 1e-5


def test_exported_program_gives_the_same_logits_in_tiles() -> None:
    program = torch.export.load(io.BytesIO(exported(tiny_unet()))).module()
    halo = find_receptive_field(program, in_channels=3, stride=4, device=torch.device("cpu"))
    frame = picture(150, 201)
    got = tiled_logits(program, frame, stride=4, halo=halo, max_pixels=8_000)
    assert relative_difference(got, whole_logits(tiny_unet(), frame, 4)) < 1e-5


def test_batches_have_one_shape_and_at_most_the_requested_size() -> None:
    tiles = plan_tiles(200, 300, stride=4, halo=8, max_pixels=3_000)
    assert len(tiles) > 4
    computer = Computer(nn.Conv2d(3, 1, 3, padding=1))
    segment_tiled(picture(200, 300), tiles, computer, np.empty((200, 300), np.uint8), batch=4)
    assert {shape[1:] for shape in computer.batches} == {(*tiles[0].window.shape, 3)}
    assert {shape[0] for shape in computer.batches} == {4, 4 - -len(tiles) % 4}


def test_windows_inside_the_image_are_views() -> None:
    frame = picture(96, 96)
    shared: list[bool] = []

    def forward(windows: Sequence[Pixels]) -> torch.Tensor:
        shared.extend(np.shares_memory(window, frame) for window in windows)
        return torch.zeros(len(windows), 1, *windows[0].shape[:2])

    segment_tiled(frame, plan_tiles(96, 96, stride=4, halo=8, max_pixels=2_000), forward, np.empty((96, 96), np.uint8))
    assert len(shared) > 4
    assert all(shared)


_LARGE = """
import numpy as np, torch
from cloudseg_ops.engine.network.networks import UNet
from cloudseg_ops.engine.network.tiling import segment_tiled
from cloudseg_ops.engine.network.tiling import plan_tiles

SIDE = 5000
torch.set_num_threads(1)
torch.manual_seed(0)
network = UNet(3, 1, width=4, depth=1).eval()
frame = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
classes = np.zeros((SIDE, SIDE), np.uint8)

@torch.inference_mode()
def forward(windows):
    images = torch.stack([torch.from_numpy(window) for window in windows]).permute(0, 3, 1, 2).float() / 255
    return network(images)

with torch.inference_mode():
    network.head.bias -= forward([frame[:64, :64]]).mean()
tiles = plan_tiles(SIDE, SIDE, stride=2, halo=8, max_pixels=400 * 400)
measured(lambda: segment_tiled(frame, tiles, forward, classes))
assert 0 < classes.mean() < 1
"""


@pytest.mark.slow
def test_peak_memory_is_that_of_a_tile() -> None:
    features_of_the_whole = 5000 * 5000 * 4 * 4  # one tensor of the first level: four channels in float32
    assert peak_bytes(_LARGE) < features_of_the_whole / 4
