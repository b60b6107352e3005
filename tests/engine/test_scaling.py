import numpy as np
import pytest
import torch
from torch.nn import functional

from cloudseg_ops.engine.bands import BAND_PIXELS
from cloudseg_ops.engine.scaling import classes_scaled_up, scale_down
from cloudseg_ops.engine.tiled import classify
from tests.engine.lab import noise
from tests.engine.peaks import peak_bytes

SIZES = [
    ((1300, 2100), (317, 512)),
    ((2100, 1300), (2000, 1238)),  # barely smaller
    ((2500, 900), (16, 6)),
    ((1100, 1000), (1100, 1000)),
    ((40, 30), (17, 13)),
    ((4000, 81), (50, 2)),
]


@pytest.mark.parametrize(("size", "smaller"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_scaling_down_is_as_for_the_whole(size: tuple[int, int], smaller: tuple[int, int], channels: int) -> None:
    pixels = noise(size[1], size[0], channels).reshape(*size, channels)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    expected = functional.interpolate(whole, smaller, mode="bilinear", align_corners=False, antialias=True)
    got = scale_down(pixels, *smaller)
    assert got.shape == (*smaller, channels)
    assert got.dtype == np.float32
    assert np.abs(got - expected[0].permute(1, 2, 0).numpy()).max() < 2e-6
    deep = scale_down(pixels.astype(np.float32) / np.float32(255), *smaller)
    assert np.abs(deep - got).max() < 2e-6


@pytest.mark.parametrize(("size", "smaller"), SIZES)
@pytest.mark.parametrize("n_classes", [1, 5])
def test_scaling_up_is_as_for_the_whole(size: tuple[int, int], smaller: tuple[int, int], n_classes: int) -> None:
    logits = np.random.default_rng(3).standard_normal((n_classes, *smaller)).astype(np.float32)
    whole = functional.interpolate(torch.from_numpy(logits)[None], size, mode="bilinear", align_corners=False)
    got = classes_scaled_up(logits, *size)
    assert got.dtype == np.uint8
    assert (got == classify(whole)[0]).mean() > 0.99999


def test_several_bands_are_tried() -> None:
    assert all(size[0] * size[1] > BAND_PIXELS for size, _ in SIZES[:4])


_DOWN = """
import numpy as np, torch
from cloudseg_ops.engine.scaling import scale_down
torch.set_num_threads(1)
scale_down(np.zeros((64, 64, 3), np.uint8), 8, 8)
pixels = np.full((4000, 4000, 3), 7, np.uint8)
measured(lambda: scale_down(pixels, 512, 512))
"""
_UP = """
import numpy as np, torch
from cloudseg_ops.engine.scaling import classes_scaled_up
torch.set_num_threads(1)
classes_scaled_up(np.zeros((5, 8, 8), np.float32), 64, 64)
logits = np.zeros((2, 512, 512), np.float32)
measured(lambda: classes_scaled_up(logits, 4000, 4000))
"""


def test_memory_is_that_of_a_band() -> None:
    one_channel_of_the_whole = 4000 * 4000 * 4
    assert peak_bytes(_DOWN) < one_channel_of_the_whole
    assert peak_bytes(_UP) < one_channel_of_the_whole
