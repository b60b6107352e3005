import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.photographs import (
    FORMATS,
    convert,
    draft_jpeg,
    error_text,
    exif_orientation,
    fit_size,
    has_several_frames,
    is_deep,
    white_value,
)


def _opened(image: Image.Image, image_format: str, **how: object) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, image_format, **how)
    return Image.open(stream)


@pytest.mark.parametrize(
    ("size", "max_side", "fitted"),
    [
        ((400, 300), 200, (200, 150)),
        ((300, 400), 200, (150, 200)),
        ((400, 300), 400, (400, 300)),
        ((10, 5), 320, (10, 5)),
        ((4000, 1), 16, (16, 1)),
        ((400, 300), None, (400, 300)),
    ],
)
def test_sides_are_scaled_down_in_proportion(
    size: tuple[int, int], max_side: int | None, fitted: tuple[int, int]
) -> None:
    assert fit_size(size, max_side) == fitted


@pytest.mark.parametrize(
    ("wanted", "decoded"), [((320, 240), (640, 480)), ((321, 241), (1280, 960)), ((1280, 960), (1280, 960))]
)
def test_jpeg_is_decoded_at_twice_the_requested_size(wanted: tuple[int, int], decoded: tuple[int, int]) -> None:
    image = _opened(Image.new("RGB", (1280, 960)), "JPEG")
    draft_jpeg(image, wanted)
    assert image.size == decoded
    image.load()
    assert image.size == decoded


def test_other_formats_are_decoded_at_full_size() -> None:
    image = _opened(Image.new("RGB", (1280, 960)), "PNG")
    draft_jpeg(image, (320, 240))
    assert image.size == (1280, 960)


def test_animation_has_several_frames_but_an_mpo_does_not() -> None:
    red, blue = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))
    assert has_several_frames(_opened(red, "WEBP", save_all=True, append_images=[blue]))
    assert has_several_frames(_opened(red, "TIFF", save_all=True, append_images=[blue]))
    assert not has_several_frames(_opened(red, "MPO", save_all=True, append_images=[blue]))
    assert not any(has_several_frames(_opened(red, image_format)) for image_format in FORMATS)


@pytest.mark.parametrize(
    ("mode", "highest", "white"),
    [("F", 0.5, 1), ("F", 1, 1), ("F", 1.5, 255), ("F", 256, 65535), ("I", 200, 65535), ("I;16", 1, 65535)],
)
def test_white_value_of_deep_images(mode: str, highest: float, white: int) -> None:
    image = Image.new(mode, (1, 1))
    assert is_deep(image)
    assert white_value(image, highest) == white


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_eight_bit_images_are_not_deep(mode: str) -> None:
    assert not is_deep(Image.new(mode, (1, 1)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparency_is_ignored(mode: Literal["L", "RGB"]) -> None:
    clear = Image.new("RGBA", (2, 2), (200, 30, 30, 0))
    assert convert(clear, mode).getpixel((0, 0)) == Image.new("RGB", (1, 1), (200, 30, 30)).convert(mode).getpixel(
        (0, 0)
    )
    same = Image.new(mode, (2, 2))
    assert convert(same, mode) is same


def test_exif_orientation_and_its_default() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert exif_orientation(_opened(Image.new("RGB", (2, 2)), "JPEG", exif=exif)) == 6
    assert exif_orientation(_opened(Image.new("RGB", (2, 2)), "JPEG")) == 1
    broken = Image.fromarray(np.zeros((2, 2), np.uint8))
    broken.getexif()[0x0112] = "up"
    assert exif_orientation(broken) == 1


def test_error_text_is_one_short_line() -> None:
    assert error_text(OSError("broken\n  data")) == "OSError: broken data"
    assert len(error_text(ValueError("x" * 999))) == 200
