import pytest
import torch
from torch import nn

from cloudseg_ops.engine.network.memory_profile import LiveBytes, bytes_per_pixel
from tests.support.lab import tiny_unet


def images(side: int) -> torch.Tensor:
    return torch.zeros(1, 3, side, side)


class Chain(nn.Module):
    """Keeps at most two images of three float channels alive at a time, besides its input."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        values = given + 1
        for _ in range(5):
            values = values * 2
        return values


def test_freed_tensors_do_not_count() -> None:
    given = images(16)
    with torch.inference_mode(), LiveBytes() as count:
        result = Chain()(given)
    assert count.peak == 2 * 3 * 16 * 16 * 4
    assert count.live == result.nbytes


def test_views_count_once() -> None:
    with torch.inference_mode(), LiveBytes() as count:
        given = torch.zeros(100)
        kept = [given[:50], given.view(10, 10), given.flip(0)]
    assert count.live == 800
    assert len(kept) == 3


def test_bytes_per_pixel() -> None:
    # The input and two other tensors of the same size.
    assert bytes_per_pixel(Chain(), images(16), images(32)) == pytest.approx(3 * 3 * 4)


def test_memory_of_constant_size_does_not_count_toward_pixels() -> None:
    weight = torch.zeros(10**6)

    def run(given: torch.Tensor) -> torch.Tensor:
        shared = weight + 1
        return given + shared[0]

    assert bytes_per_pixel(run, images(16), images(32)) == pytest.approx(2 * 3 * 4)


def test_bytes_per_pixel_do_not_depend_on_the_image_size() -> None:
    network = tiny_unet()
    small, large = (bytes_per_pixel(network, images(16), images(side)) for side in (32, 256))
    assert small == pytest.approx(large, rel=0.02)
