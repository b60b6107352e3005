import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.errors import BadImageError, EngineError
from cloudseg_ops.engine.images.decode import check_decoders, decode
from tests.support.lab import encoded, noise

LIMIT = 1_000_000
RGB = Image.fromarray(noise(5, 4))
GREY = Image.fromarray(noise(5, 4, 1))


def pixels(data: bytes, in_channels: Literal[1, 3] = 3) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode(data, in_channels, LIMIT)
    assert image.pixels.shape == (image.height, image.width, in_channels)
    assert image.pixels.dtype in (np.uint8, np.float32)
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    return image.pixels


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_lossless_rgb_is_decoded_exactly(image_format: str) -> None:
    assert np.array_equal(pixels(encoded(RGB, image_format)), np.asarray(RGB))


def test_lossless_webp_is_decoded_exactly() -> None:
    assert np.array_equal(pixels(encoded(RGB, "WEBP", lossless=True)), np.asarray(RGB))


def test_jpeg_is_decoded_approximately() -> None:
    flat = Image.new("RGB", (16, 16), (10, 120, 200))
    assert np.abs(pixels(encoded(flat, "JPEG", quality=95)).astype(int) - (10, 120, 200)).max() < 6


@pytest.mark.parametrize("in_channels", [1, 3])
def test_grey_is_decoded_exactly(in_channels: Literal[1, 3]) -> None:
    assert np.array_equal(pixels(encoded(GREY, "PNG"), in_channels)[..., 0], np.asarray(GREY))


def test_rgb_is_converted_to_grey_by_luma() -> None:
    assert np.array_equal(pixels(encoded(RGB, "PNG"), 1)[..., 0], np.asarray(RGB.convert("L")))


def test_alpha_channel_is_ignored() -> None:
    rgba, la = RGB.copy(), GREY.copy()
    alpha = Image.fromarray(noise(5, 4, 1, seed=9))
    rgba.putalpha(alpha)
    la.putalpha(alpha)
    assert np.array_equal(pixels(encoded(rgba, "PNG")), np.asarray(RGB))
    assert np.array_equal(pixels(encoded(la, "PNG"))[..., 1], np.asarray(GREY))


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128, 255])])
def test_palette_images_are_converted_to_rgb(transparency: int | bytes | None) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("L")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    how = {} if transparency is None else {"transparency": transparency}
    assert pixels(encoded(image, "PNG", **how)).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


def test_one_bit_images_are_scaled_to_255() -> None:
    assert pixels(encoded(Image.fromarray(np.array([[True, False]])), "PNG"), 1)[..., 0].tolist() == [[255, 0]]


def test_sixteen_bit_images_keep_their_depth() -> None:
    values = np.array([[0, 1, 256, 65535]], np.uint16)
    for image_format in ("PNG", "TIFF"):
        got = pixels(encoded(Image.fromarray(values), image_format))
        assert got.dtype == np.float32
        assert np.allclose(got[..., 2], values / 65535)


def test_big_endian_sixteen_bit_images_are_decoded() -> None:
    values = np.array([[0, 258, 65535]], ">u2")
    # One strip of 16-bit grey: width, height, bits, compression, photometric, strip offset, rows, byte count.
    tags = [(256, 3), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (278, 1), (279, 6)]
    ifd = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"MM\0*" + struct.pack(">I", 14) + values.tobytes() + ifd + struct.pack(">I", 0)
    assert Image.open(io.BytesIO(data)).mode == "I;16B"
    assert np.allclose(pixels(data, 1)[..., 0], [[0, 258 / 65535, 1]])


@pytest.mark.parametrize(("values", "scale"), [([0.0, 0.5, 1.0], 1), ([0.0, 9.0, 255.0], 255), ([0.0, 65535.0], 65535)])
def test_float_images_are_scaled_by_their_range(values: list[float], scale: int) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert np.allclose(pixels(encoded(image, "TIFF"), 1)[..., 0], [np.array(values) / scale])


def test_32_bit_integer_images_are_decoded() -> None:
    assert np.allclose(pixels(encoded(Image.fromarray(np.array([[0, 65535]], np.int32)), "TIFF"), 1)[0, :, 0], [0, 1])


@pytest.mark.parametrize("values", [[np.nan, 1], [np.inf, 1], [-1, 1], [0, 1e6]])
def test_invalid_pixel_values_are_rejected(values: list[float]) -> None:
    with pytest.raises(BadImageError, match="pixels"):
        decode(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"), 3, LIMIT)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_cmyk_and_ycbcr_are_converted(mode: str, in_channels: Literal[1, 3]) -> None:
    flat = Image.new("RGB", (16, 16), (10, 120, 200))
    data = encoded(flat.convert(mode), "TIFF", **({"compression": "jpeg"} if mode == "YCbCr" else {}))
    got = pixels(data, in_channels)
    expected = (10, 120, 200) if in_channels == 3 else (96,)
    assert np.abs(got.astype(int) - expected).max() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, image_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(RGB, image_format, exif=exif, **how)
    turns: dict[int, Callable[[Any], Any]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }
    assert np.array_equal(pixels(data), turns[orientation](np.asarray(RGB)))


def test_broken_exif_is_ignored() -> None:
    data = encoded(RGB, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    assert np.array_equal(pixels(data), np.asarray(RGB))


def test_first_image_of_an_mpo_file_is_decoded() -> None:
    small = Image.new("RGB", (16, 16), (10, 120, 200))
    data = encoded(small, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.abs(pixels(data).astype(int) - (10, 120, 200)).max() < 6


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_images_with_several_frames_are_rejected(image_format: str) -> None:
    data = encoded(RGB, image_format, save_all=True, append_images=[Image.new("RGB", (5, 4))])
    with pytest.raises(BadImageError, match="several frames"):
        decode(data, 3, LIMIT)


def test_empty_file_is_rejected() -> None:
    with pytest.raises(BadImageError, match="zero bytes"):
        decode(b"", 3, LIMIT)


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n", b"<svg></svg>", b"\0" * 4096])
def test_files_that_are_not_images_are_rejected(data: bytes) -> None:
    with pytest.raises(BadImageError):
        decode(data, 3, LIMIT)


@pytest.mark.parametrize("image_format", ["GIF", "PPM", "ICO", "PDF", "EPS", "TGA"])
def test_unsupported_formats_are_rejected(image_format: str) -> None:
    with pytest.raises(BadImageError, match=r"not a photograph but an? |not an image, or none of the formats JPEG"):
        decode(encoded(RGB, image_format), 3, LIMIT)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated_files_are_rejected(image_format: str, share: float) -> None:
    data = encoded(Image.fromarray(noise(60, 50)), image_format)
    with pytest.raises(BadImageError):
        decode(data[: int(len(data) * share)], 3, LIMIT)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "MPO"])
def test_damaged_files_are_decoded_or_rejected_with_a_reason(image_format: str) -> None:
    data = encoded(Image.fromarray(noise(24, 20)), image_format)
    rng = np.random.default_rng(4)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Any other exception fails the test.
            with contextlib.suppress(BadImageError):
                assert decode(bytes(damaged), 3, LIMIT).pixels.size


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), ConnectionResetError(104, "reset"), ValueError("no")]
)
def test_errors_of_the_memory_budget_do_not_reject_the_image(error: Exception) -> None:
    def reserve(_: int) -> None:
        raise error

    with pytest.raises(type(error)):
        decode(encoded(Image.fromarray(noise(8, 8)), "PNG"), 3, 64, reserve=reserve)


def test_decompression_bomb_is_detected_in_its_header() -> None:
    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImageError, match="decompression bomb: 40000 × 40000"):
            decode(data, 3, 178_956_970)


def test_image_of_exactly_the_pixel_limit_is_accepted() -> None:
    assert decode(encoded(RGB, "PNG"), 3, 20).width == 5
    with pytest.raises(BadImageError, match="bomb"):
        decode(encoded(RGB, "PNG"), 3, 19)


@pytest.mark.parametrize(
    ("size", "good"), [((1020, 20), False), ((20, 1020), False), ((1000, 20), True), ((900, 1), True)]
)
def test_extreme_aspect_ratios_are_rejected(size: tuple[int, int], good: bool) -> None:
    data = encoded(Image.new("RGB", size), "PNG")
    if good:
        assert decode(data, 3, LIMIT).width == size[0]
    else:
        with pytest.raises(BadImageError, match="not a photograph"):
            decode(data, 3, LIMIT)


def test_missing_decoder_raises_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    check_decoders()
    monkeypatch.delitem(Image.OPEN, "WEBP")
    with pytest.raises(EngineError, match="cannot read WEBP"):
        check_decoders()
