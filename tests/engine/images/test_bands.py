"""TIFF images of many bands, and colors of more than eight bits."""

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.engine.images.decode import DecodedImage, decode
from tests.support.lab import encoded, noise
from tests.support.tiffs import planes, tiff

LIMIT = 10_000
TYPES = {"uint8": 255, "uint16": 65535, "float32": 1}


def values(bands: int, kind: str = "uint16", height: int = 6, width: int = 5) -> Any:
    drawn = np.random.default_rng(bands).random((height, width, bands))
    drawn[0, 0] = 1
    return (drawn * TYPES[kind]).astype(kind)


def seen(data: bytes, channels: int, **more: Any) -> DecodedImage:
    return decode(data, channels, LIMIT, **more)


def deflated(array: Any, predictor: int = 1, tile: int | None = None) -> bytes:
    """Return a TIFF with one compressed strip, or one compressed tile that is larger than the image."""
    height, width, bands = array.shape
    stored = np.pad(array, ((0, tile - height), (0, tile - width), (0, 0))) if tile else array
    if predictor == 2:
        stored = np.diff(stored.astype(int), axis=1, prepend=0).astype(array.dtype)
    packed = np.frombuffer(zlib.compress(stored.tobytes()), np.uint8)[None]
    tags = {256: width, 257: height, 258: [8 * array.itemsize] * bands, 259: 8, 262: 2, 277: bands, 278: height}
    tags |= {317: predictor, 339: [1] * bands}
    if not tile:
        return tiff((packed, tags))
    data = bytearray(tiff((packed, {**tags, 278: tile, 322: tile})))
    for strip, as_tile in ((273, 324), (278, 323), (279, 325)):
        at = data.rindex(struct.pack("<HHI", strip, 4, 1))
        data[at : at + 2] = struct.pack("<H", as_tile)
    return bytes(data)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("bands", [2, 4, 13])
@pytest.mark.parametrize("form", ["little", "big-endian", "BigTIFF", "planes"])
def test_any_number_of_bands(kind: str, bands: int, form: str) -> None:
    array = values(bands, kind)
    page = planes(array) if form == "planes" else (array, {})
    if form == "planes" and kind == "float32":
        page[1][339] = [3] * bands
    image = seen(tiff(page, order=">" if form == "big-endian" else "<", big=form == "BigTIFF"), bands)
    assert image.pixels.dtype == (np.uint8 if kind == "uint8" else np.float32)
    assert np.allclose(image.pixels, array if kind == "uint8" else array / TYPES[kind], atol=1e-6)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_bands_that_libtiff_has_compressed(compression: str, predictor: int) -> None:
    array = values(4, "uint8", 9, 7)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[317] = predictor if compression != "packbits" else 1
    stream = io.BytesIO()
    Image.fromarray(array, "RGBA").save(stream, "TIFF", compression=compression, tiffinfo=tags)
    assert np.array_equal(seen(stream.getvalue(), 4).pixels, array)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("bands", [2, 13])
def test_compressed_bands_of_sixteen_bits(predictor: int, tile: int | None, bands: int) -> None:
    array = values(bands, "uint16", 9, 7)
    image = seen(deflated(array, predictor, tile), bands)
    assert np.allclose(image.pixels, array / 65535, atol=1e-6)


@pytest.mark.parametrize("white", [1023, 4095, 16383, 10000])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_the_white_level(white: int, bands: int) -> None:
    array = (np.random.default_rng(0).random((6, 5, bands)) * white).astype(np.uint16)
    data = tiff((array[..., 0] if bands == 1 else array, {}))
    image = seen(data, min(bands, 3), scale=white)
    assert np.allclose(image.pixels, array[..., :3] / np.float32(white), atol=1e-6)
    # Without a white level, colors have eight bits as before.
    assert seen(data, min(bands, 3)).pixels.dtype == (np.float32 if bands == 1 else np.uint8)


def test_the_white_level_of_reflectances() -> None:
    array = np.array([[-0.02, 0.5, 1.3]], np.float32)
    assert np.allclose(seen(tiff((array, {})), 1, scale=1.0).pixels[..., 0], array)
    with pytest.raises(BadImageError, match="neither 0–1"):
        seen(tiff((array, {})), 1)
    bright = np.array([[0, 12000]], np.uint16)
    image = seen(tiff((bright, {})), 1, scale=10000)
    assert image.pixels.max() == pytest.approx(1.2)
    dark = tiff((np.full((4, 4, 3), 100, np.uint16), {}))
    assert seen(dark, 3, scale=10000).range_used == pytest.approx(0.0101, abs=1e-4)
    assert seen(dark, 3, scale=200).range_used is None


def test_eight_bits_and_a_white_level_of_more() -> None:
    data = encoded(Image.fromarray(noise(5, 4)), "PNG")
    assert np.array_equal(seen(data, 3, scale=4095).pixels, noise(5, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_bands_are_turned_upright(orientation: int) -> None:
    array = values(3)
    data = tiff((array, {274: orientation}))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        upright = np.asarray(image)
    found = seen(data, 3, scale=65535)
    assert np.abs(found.pixels * 255 - upright).max() <= 1
    scaled = seen(data, 3, scale=65535, resize_to=(8, 3))
    assert scaled.pixels.shape == (8, 3, 3)
    assert scaled.mask_size == upright.shape[:2]


def test_bands_are_scaled_down() -> None:
    array = np.repeat(np.repeat(values(5), 2, axis=0), 2, axis=1)
    image = seen(tiff((array, {})), 5, max_side=6)
    assert (image.pixels.shape, image.mask_size) == ((6, 5, 5), (12, 10))
    assert np.abs(image.pixels[1:-1, 1:-1] - values(5)[1:-1, 1:-1] / 65535).max() < 0.5


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (tiff((values(3), {})), "3 bands of 16 bits, and the model takes 4 bands"),
        (tiff((values(13), {})), "13 bands of 16 bits, and the model takes 4 bands"),
        (encoded(Image.fromarray(noise(5, 4)), "PNG"), "a PNG image of the mode RGB, and the model takes 4 bands"),
        (encoded(Image.fromarray(noise(5, 4)).convert("RGBA"), "PNG"), "mode RGBA, and the model takes 4 bands"),
        (tiff((values(4), {259: 7})), "compression 7 cannot be read with bands"),
        (tiff((values(4), {317: 3})), "predictor 3 cannot be read with bands"),
        (tiff((values(4).astype(np.float64), {})), "floats with 32"),
        (tiff((values(4).astype(np.int8), {})), "8 bits can be read only if unsigned"),
        (tiff((np.full((2, 2, 4), np.nan, np.float32), {})), "not finite"),
        (tiff((values(4), {256: 200, 257: 200})), "decompression bomb"),
        (tiff((values(4), {}))[:60], "broken or truncated|header is broken"),
        (tiff((values(4), {}), (values(4), {})), "several frames"),
        (tiff((values(4), {}), order=">", big=True), "big-endian BigTIFF"),
        (bytes(range(1, 200)), "not an image"),
    ],
    ids=range(14),
)
def test_what_a_model_of_four_bands_cannot_take(data: bytes, told: str) -> None:
    with pytest.raises(BadImageError, match=told):
        seen(data, 4)


def test_colors_of_sixteen_bits_that_only_pillow_reads() -> None:
    stream = io.BytesIO()
    Image.fromarray(values(1)[..., 0]).save(stream, "PNG")
    assert seen(stream.getvalue(), 1, scale=4095).pixels.max() > 1
    color = _png_of_sixteen_bits()
    assert seen(color, 3).pixels.dtype == np.uint8
    with pytest.raises(BadImageError, match=r"16 bits per color, .* white level is 4095: convert it to a TIFF"):
        seen(color, 3, scale=4095)


def _png_of_sixteen_bits() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(13))) + chunk(b"IEND", b"")
    )


def test_memory_is_asked_for_before_bands_are_read() -> None:
    asked: list[int] = []
    seen(tiff((values(13), {})), 13, reserve=asked.append)
    assert asked == [16 * 6 * 5 * 13]


def test_damaged_bands_are_bad_images() -> None:
    data = deflated(values(4, "uint16", 9, 7), 2)
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(0, len(damaged), 4):
            damaged[place] = random.integers(0, 256)
        with contextlib.suppress(BadImageError):
            assert seen(bytes(damaged), 4).pixels.size
