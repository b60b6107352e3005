from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageOps

from cloudseg_ops.engine.bands import BAND_PIXELS, bands, image_bands, to_array, upright
from tests.engine.lab import noise
from tests.engine.peaks import peak_bytes

WIDE, HIGH = 1500, 1700
"""More than one band, and no multiple of one."""


def test_bands_cover_every_row_once() -> None:
    rows = [row for band in bands(103, 10, pixels=70) for row in range(103)[band]]
    assert rows == list(range(103))
    assert max(band.stop - band.start for band in bands(103, 10, pixels=70)) == 7
    assert [*bands(3, 1000, pixels=10)] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert [*bands(0, 5)] == []


def test_a_small_image_is_its_own_band() -> None:
    image = Image.new("RGB", (5, 4))
    ((rows, band),) = image_bands(image)
    assert band is image
    assert rows == slice(0, 4)


@pytest.mark.parametrize("size", [(5, 4), (WIDE, HIGH)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr"])
@pytest.mark.parametrize("wanted", ["L", "RGB"])
def test_the_same_as_converting_the_whole(size: tuple[int, int], mode: str, wanted: Literal["L", "RGB"]) -> None:
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
def test_upright_as_the_whole_turned(size: tuple[int, int], orientation: int) -> None:
    image = Image.fromarray(noise(*size))
    got = to_array(image, "RGB", orientation)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(got, expected)
    assert np.array_equal(upright(np.asarray(image), orientation), expected)
    assert got.flags.c_contiguous


def test_the_array_is_the_callers_own() -> None:
    image = Image.fromarray(noise(5, 4))
    to_array(image, "RGB")[:] = 0
    assert np.array_equal(np.asarray(image), noise(5, 4))


_CONVERT = """
from PIL import Image
from cloudseg_ops.engine.bands import to_array
to_array(Image.new("RGB", (2048, 2048)), "RGB", {orientation})
image = Image.new("RGB", (6000, 6000), (1, 2, 3))
array = measured(lambda: to_array(image, "RGB", {orientation}))
"""


@pytest.mark.parametrize("orientation", [1, 6])
def test_nothing_else_of_its_size_is_held(orientation: int) -> None:
    array_bytes = 6000 * 6000 * 3
    assert array_bytes > 50 * BAND_PIXELS
    assert 0.9 < peak_bytes(_CONVERT.format(orientation=orientation)) / array_bytes < 1.25
