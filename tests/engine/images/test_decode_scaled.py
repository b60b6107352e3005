"""Decoding with `max_side`, which scales photographs down, and the memory that decoding reserves."""

import contextlib
import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.engine.images.decode import DecodedImage, decode
from tests.support.lab import encoded, noise

LIMIT = 1_000_000
RGB = Image.fromarray(noise(5, 4))


def scaled(data: bytes, max_side: int, in_channels: Literal[1, 3] = 3) -> DecodedImage:
    image = decode(data, in_channels, 10**8, max_side=max_side)
    assert image.pixels.shape == (image.height, image.width, in_channels)
    assert image.pixels.flags.c_contiguous
    return image


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_large_photographs_are_scaled_down(image_format: str) -> None:
    image = scaled(encoded(Image.fromarray(noise(1000, 640)), image_format), 320)
    assert (image.width, image.height) == (320, 205)
    assert image.full_size == image.mask_size == (640, 1000)


def test_small_photographs_are_not_scaled() -> None:
    image = scaled(encoded(Image.fromarray(noise(32, 20)), "PNG"), 32)
    assert image.full_size is None
    assert image.mask_size == (20, 32)
    assert np.array_equal(image.pixels, noise(32, 20))


def test_scaling_down_is_antialiased() -> None:
    # Without a low-pass filter, a reduction by four reads only the middle two of four columns.
    stripes = np.full((128, 128, 3), 255, np.uint8)
    stripes[:, 1::4] = stripes[:, 2::4] = 100
    image = scaled(encoded(Image.fromarray(stripes), "PNG"), 32)
    assert np.abs(image.pixels[:, 1:-1].astype(int) - 178).max() <= 2


def test_jpeg_reduced_by_its_decoder_gives_nearly_the_same_pixels() -> None:
    smooth = Image.fromarray(noise(40, 30)).resize((1600, 1200), Image.Resampling.BICUBIC)
    jpeg = encoded(smooth, "JPEG", quality=95)
    whole = Image.open(io.BytesIO(jpeg)).resize((160, 120), Image.Resampling.BILINEAR)
    difference = np.abs(scaled(jpeg, 160).pixels.astype(int) - np.asarray(whole))
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) < 8


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF", "PNG"])
def test_exif_orientation_is_applied_after_scaling(image_format: str) -> None:
    picture = Image.fromarray(np.concatenate([np.zeros((60, 50, 3), np.uint8), np.full((60, 50, 3), 255, np.uint8)], 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = scaled(encoded(picture, image_format, exif=exif), 50)
    assert (image.height, image.width) == (50, 30)
    assert image.full_size == (100, 60)
    assert image.pixels[:20].max() < 30
    assert image.pixels[30:].min() > 225


@pytest.mark.parametrize("in_channels", [1, 3])
def test_sixteen_bit_images_are_scaled_down_too(in_channels: Literal[1, 3]) -> None:
    ramp = (np.arange(200 * 100).reshape(100, 200) * 3).astype(np.uint16)
    image = scaled(encoded(Image.fromarray(ramp), "PNG"), 50, in_channels)
    assert image.pixels.dtype == np.float32
    expected = ramp.reshape(25, 4, 50, 4).mean(axis=(1, 3)) / 65535
    assert np.abs(image.pixels[2:-2, 2:-2, 0] - expected[2:-2, 2:-2]).max() < 0.01


def test_memory_is_reserved_after_reading_the_header() -> None:
    reserved: list[int] = []
    jpeg = encoded(Image.fromarray(noise(1600, 1200)), "JPEG")
    decode(jpeg, 3, 10**8, reserve=reserved.append)
    decode(jpeg, 3, 10**8, max_side=160, reserve=reserved.append)
    assert reserved[0] == int(7.5 * 1600 * 1200)
    assert reserved[1] == 12 * 400 * 300
    with contextlib.suppress(BadImageError):
        decode(b"no image", 3, 10**8, reserve=reserved.append)
    assert len(reserved) == 2


def test_failed_memory_reservation_rejects_the_image() -> None:
    def refuse(amount: int) -> None:
        raise BadImageError(f"no room for {amount}")

    with pytest.raises(BadImageError, match="no room for 150"):
        decode(encoded(RGB, "PNG"), 3, LIMIT, reserve=refuse)
