import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import ImageTooLargeError
from cloudseg_ops.engine.network.tiling import Tile, Window, plan_tiles

sides = st.integers(1, 400)


def rounded_up(number: int, stride: int) -> int:
    return -(-number // stride) * stride


@settings(max_examples=200, deadline=None)
@given(
    height=sides,
    width=sides,
    stride=st.sampled_from([1, 2, 4, 8, 16, 6]),
    halo=st.integers(0, 40),
    max_pixels=st.integers(1, 80_000),
)
def test_plans_cover_every_pixel_once_within_the_limit(
    height: int, width: int, stride: int, halo: int, max_pixels: int
) -> None:
    padded = rounded_up(height, stride), rounded_up(width, stride)
    margin = rounded_up(halo, stride)
    smallest = [min(side, 2 * margin + stride) for side in padded]
    try:
        tiles = plan_tiles(height, width, stride=stride, halo=halo, max_pixels=max_pixels)
    except ImageTooLargeError:
        assert smallest[0] * smallest[1] > max_pixels
        return
    times = np.zeros((height, width), np.uint8)
    for tile in tiles:
        core, window = tile.core, tile.window
        assert min(core.shape) > 0
        times[core.top : core.bottom, core.left : core.right] += 1
        assert all(edge % stride == 0 for edge in (window.top, window.left, window.bottom, window.right))
        assert window.top <= max(0, core.top - margin)
        assert window.left <= max(0, core.left - margin)
        assert window.bottom >= min(padded[0], rounded_up(core.bottom, stride) + margin)
        assert window.right >= min(padded[1], rounded_up(core.right, stride) + margin)
        assert min(window.top, window.left) >= 0
        assert (window.bottom, window.right) <= padded
        assert window.right <= padded[1]
    assert (times == 1).all()
    assert len({tile.window.shape for tile in tiles}) == 1
    assert tiles[0].window.shape[0] * tiles[0].window.shape[1] <= max_pixels
    assert (len(tiles) == 1) == (padded[0] * padded[1] <= max_pixels)


@pytest.mark.parametrize("halo", [None, 0, 96])
def test_an_image_that_fits_is_one_tile(halo: int | None) -> None:
    (tile,) = plan_tiles(90, 133, stride=16, halo=halo, max_pixels=96 * 144)
    assert tile == Tile(Window(0, 0, 96, 144), Window(0, 0, 90, 133))


def test_strip_is_split_along_its_long_side_only() -> None:
    for height, width in [(100, 5000), (5000, 100)]:
        tiles = plan_tiles(height, width, stride=4, halo=20, max_pixels=100_000)
        assert tiles[0].window.shape[0 if height < width else 1] == 100
        assert len(tiles) == 6


def test_a_core_is_located_relative_to_its_window() -> None:
    image = np.arange(300 * 200).reshape(300, 200)
    for tile in plan_tiles(300, 200, stride=4, halo=10, max_pixels=6000):
        window, core = tile.window, tile.core
        read = image[window.top : window.bottom, window.left : window.right]
        assert np.array_equal(read[tile.core_in_window], image[core.top : core.bottom, core.left : core.right])


def brute_force(height: int, width: int, stride: int, halo: int, max_pixels: int) -> int:
    """Find the minimum number of pixels that any grid of equal windows computes."""

    def choices(side: int) -> list[tuple[int, int]]:
        blocks, margin = -(-side // stride), -(-halo // stride)
        longer = [
            (parts, length)
            for parts in range(2, max(2, blocks - 2 * margin) + 1)
            for length in range(2 * margin + 1, blocks)
            if parts * (length - 2 * margin) + 2 * margin >= blocks
        ]
        return [(1, blocks), *longer]

    return min(
        down * high * across * wide * stride**2
        for (down, high), (across, wide) in itertools.product(choices(height), choices(width))
        if high * wide * stride**2 <= max_pixels
    )


@pytest.mark.parametrize(
    ("height", "width", "halo", "max_pixels"),
    [
        (300, 500, 24, 60_000),
        (500, 300, 24, 20_000),
        (640, 640, 96, 200_000),
        (97, 800, 10, 9_000),
        (64, 900, 40, 9_000),
    ],
)
def test_plan_computes_the_minimum_number_of_pixels(height: int, width: int, halo: int, max_pixels: int) -> None:
    tiles = plan_tiles(height, width, stride=16, halo=halo, max_pixels=max_pixels)
    computed = sum(tile.window.shape[0] * tile.window.shape[1] for tile in tiles)
    assert computed == brute_force(height, width, 16, halo, max_pixels)


def test_tiling_a_large_photograph_adds_little_computation() -> None:
    tiles = plan_tiles(20_000, 20_000, stride=16, halo=96, max_pixels=4 * 1024 * 1024)
    computed = sum(tile.window.shape[0] * tile.window.shape[1] for tile in tiles)
    assert computed < 1.25 * 20_000**2
    assert len(tiles) < 130


def test_tile_without_room_for_the_halo_is_rejected() -> None:
    with pytest.raises(ImageTooLargeError, match=r"2000 × 1000 pixels .* the 10000 .*96 pixels on each side"):
        plan_tiles(1000, 2000, stride=16, halo=96, max_pixels=10_000)


def test_network_with_unbounded_receptive_field_is_not_tiled() -> None:
    with pytest.raises(ImageTooLargeError, match=r"looks at the whole image.*max_side"):
        plan_tiles(1000, 2000, stride=16, halo=None, max_pixels=10_000)
