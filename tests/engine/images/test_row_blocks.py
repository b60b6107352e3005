from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image, ImageOps

from cloudseg_ops.engine.images.row_blocks import (
    BAND_PIXELS,
    image_blocks,
    row_blocks,
    to_array,
    to_deep_array,
    value_range,
)
from tests.engine.peaks import peak_bytes
from tests.support.lab import noise

WIDE, HIGH = 1500, 1700
"""More than one row block, and not a multiple of its size."""


_TURNS: dict[int, Callable[[Any], Any]] = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}
"""The transformation for each EXIF orientation."""


def _upright(stored: Any, orientation: int) -> Any:
    return _TURNS.get(orientation, lambda a: a)(stored)


def test_row_blocks_cover_every_row_once() -> None:
    rows = [row for block in row_blocks(103, 10, pixels=70) for row in range(103)[block]]
    assert rows == list(range(103))
    assert max(block.stop - block.start for block in row_blocks(103, 10, pixels=70)) == 7
    assert [*row_blocks(3, 1000, pixels=10)] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert [*row_blocks(0, 5)] == []


def test_small_image_is_one_row_block() -> None:
    image = Image.new("RGB", (5, 4))
    ((rows, block),) = image_blocks(image)
    assert block is image
    assert rows == slice(0, 4)


@pytest.mark.parametrize("size", [(5, 4), (WIDE, HIGH)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr"])
@pytest.mark.parametrize("wanted", ["L", "RGB"])
def test_conversion_in_blocks_equals_that_of_the_whole_image(
    size: tuple[int, int], mode: str, wanted: Literal["L", "RGB"]
) -> None:
    image = Image.fromarray(noise(*size)).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    whole = image.convert("RGBA") if mode in {"P", "PA"} else image
    expected = np.asarray(whole.convert(wanted)).reshape(size[1], size[0], len(wanted))
    got = to_array(image, wanted)
    assert np.array_equal(got, expected)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.flags.writeable


@pytest.mark.parametrize("size", [(5, 4), (WIDE, HIGH)])
@pytest.mark.parametrize("orientation", range(10))
def test_orientation_in_blocks_equals_exif_transpose(size: tuple[int, int], orientation: int) -> None:
    image = Image.fromarray(noise(*size))
    got = to_array(image, "RGB", orientation)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(got, expected)
    assert got.flags.c_contiguous


def test_returned_array_is_a_copy() -> None:
    image = Image.fromarray(noise(5, 4))
    to_array(image, "RGB")[:] = 0
    assert np.array_equal(np.asarray(image), noise(5, 4))


@pytest.mark.parametrize("size", [(5, 4), (WIDE, HIGH)])
@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_deep_grey_is_converted_to_float(size: tuple[int, int], mode: str, channels: int) -> None:
    values = noise(*size, 1).astype(np.uint16) * 256
    image = Image.fromarray(values)
    if mode == "I;16B":
        image = Image.frombytes(mode, size, values.astype(">u2").tobytes())
    elif mode != "I;16":
        image = image.convert(mode)
    assert image.mode == mode
    assert value_range(image) == (values.min(), values.max())
    for orientation in (1, 6):
        got = to_deep_array(image, channels, 65535, orientation)
        expected = np.repeat(values[..., None].astype(np.float32) / np.float32(65535), channels, axis=2)
        assert np.array_equal(got, _upright(expected, orientation))
        assert got.dtype == np.float32
        assert got.flags.c_contiguous


@pytest.mark.parametrize(("value", "greatest"), [(np.nan, np.nan), (np.inf, np.inf)])
@pytest.mark.parametrize("row", [0, HIGH - 1])
def test_nan_and_infinity_are_found(value: float, greatest: float, row: int) -> None:
    values = np.zeros((HIGH, WIDE), np.float32)
    values[row, 7] = value
    low, high = value_range(Image.fromarray(values))
    assert np.array_equal(high, greatest, equal_nan=True)
    assert np.isnan(low) == np.isnan(value)


_CONVERT = """
from PIL import Image
from cloudseg_ops.engine.images.row_blocks import to_array
to_array(Image.new("RGB", (2048, 2048)), "RGB", {orientation})
image = Image.new("RGB", (6000, 6000), (1, 2, 3))
array = measured(lambda: to_array(image, "RGB", {orientation}))
"""


@pytest.mark.parametrize("orientation", [1, 6])
def test_conversion_holds_no_second_copy(orientation: int) -> None:
    array_bytes = 6000 * 6000 * 3
    assert array_bytes > 50 * BAND_PIXELS
    assert 0.9 < peak_bytes(_CONVERT.format(orientation=orientation)) / array_bytes < 1.25
