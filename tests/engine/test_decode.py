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

from cloudseg_ops.engine.decode import DecodedImage, check_decoders, decode
from cloudseg_ops.errors import BadImageError, EngineError
from tests.engine.lab import encoded, noise

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
def test_lossless_rgb_comes_back_as_it_was(image_format: str) -> None:
    assert np.array_equal(pixels(encoded(RGB, image_format)), np.asarray(RGB))


def test_lossless_webp() -> None:
    assert np.array_equal(pixels(encoded(RGB, "WEBP", lossless=True)), np.asarray(RGB))


def test_jpeg_is_near() -> None:
    flat = Image.new("RGB", (16, 16), (10, 120, 200))
    assert np.abs(pixels(encoded(flat, "JPEG", quality=95)).astype(int) - (10, 120, 200)).max() < 6


@pytest.mark.parametrize("in_channels", [1, 3])
def test_grey(in_channels: Literal[1, 3]) -> None:
    assert np.array_equal(pixels(encoded(GREY, "PNG"), in_channels)[..., 0], np.asarray(GREY))


def test_rgb_to_grey_is_its_luma() -> None:
    assert np.array_equal(pixels(encoded(RGB, "PNG"), 1)[..., 0], np.asarray(RGB.convert("L")))


def test_transparency_is_left_out() -> None:
    rgba, la = RGB.copy(), GREY.copy()
    alpha = Image.fromarray(noise(5, 4, 1, seed=9))
    rgba.putalpha(alpha)
    la.putalpha(alpha)
    assert np.array_equal(pixels(encoded(rgba, "PNG")), np.asarray(RGB))
    assert np.array_equal(pixels(encoded(la, "PNG"))[..., 1], np.asarray(GREY))


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128, 255])])
def test_palette(transparency: int | bytes | None) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("L")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    how = {} if transparency is None else {"transparency": transparency}
    assert pixels(encoded(image, "PNG", **how)).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]


def test_one_bit() -> None:
    assert pixels(encoded(Image.fromarray(np.array([[True, False]])), "PNG"), 1)[..., 0].tolist() == [[255, 0]]


def test_sixteen_bits_keep_their_depth() -> None:
    values = np.array([[0, 1, 256, 65535]], np.uint16)
    for image_format in ("PNG", "TIFF"):
        got = pixels(encoded(Image.fromarray(values), image_format))
        assert got.dtype == np.float32
        assert np.allclose(got[..., 2], values / 65535)


def test_sixteen_bits_big_endian() -> None:
    values = np.array([[0, 258, 65535]], ">u2")
    # One strip of 16-bit grey: width, height, bits, compression, photometric, strip offset, rows, byte count.
    tags = [(256, 3), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (278, 1), (279, 6)]
    ifd = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"MM\0*" + struct.pack(">I", 14) + values.tobytes() + ifd + struct.pack(">I", 0)
    assert Image.open(io.BytesIO(data)).mode == "I;16B"
    assert np.allclose(pixels(data, 1)[..., 0], [[0, 258 / 65535, 1]])


@pytest.mark.parametrize(("values", "scale"), [([0.0, 0.5, 1.0], 1), ([0.0, 9.0, 255.0], 255), ([0.0, 65535.0], 65535)])
def test_float(values: list[float], scale: int) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert np.allclose(pixels(encoded(image, "TIFF"), 1)[..., 0], [np.array(values) / scale])


def test_32_bit_integers() -> None:
    assert np.allclose(pixels(encoded(Image.fromarray(np.array([[0, 65535]], np.int32)), "TIFF"), 1)[0, :, 0], [0, 1])


@pytest.mark.parametrize("values", [[np.nan, 1], [np.inf, 1], [-1, 1], [0, 1e6]])
def test_values_that_are_no_brightness(values: list[float]) -> None:
    with pytest.raises(BadImageError, match="pixels"):
        decode(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"), 3, LIMIT)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_print_and_video_colors(mode: str, in_channels: Literal[1, 3]) -> None:
    flat = Image.new("RGB", (16, 16), (10, 120, 200))
    data = encoded(flat.convert(mode), "TIFF", **({"compression": "jpeg"} if mode == "YCbCr" else {}))
    got = pixels(data, in_channels)
    expected = (10, 120, 200) if in_channels == 3 else (96,)
    assert np.abs(got.astype(int) - expected).max() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_upright(orientation: int, image_format: str) -> None:
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


def test_broken_exif_harms_nothing() -> None:
    data = encoded(RGB, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    assert np.array_equal(pixels(data), np.asarray(RGB))


def test_the_first_picture_of_a_phones_mpo() -> None:
    small = Image.new("RGB", (16, 16), (10, 120, 200))
    data = encoded(small, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.abs(pixels(data).astype(int) - (10, 120, 200)).max() < 6


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_several_frames(image_format: str) -> None:
    data = encoded(RGB, image_format, save_all=True, append_images=[Image.new("RGB", (5, 4))])
    with pytest.raises(BadImageError, match="several frames"):
        decode(data, 3, LIMIT)


def test_zero_bytes() -> None:
    with pytest.raises(BadImageError, match="zero bytes"):
        decode(b"", 3, LIMIT)


@pytest.mark.parametrize("data", [b"hello", b"\x89PNG\r\n\x1a\n", b"<svg></svg>", b"\0" * 4096])
def test_no_image(data: bytes) -> None:
    with pytest.raises(BadImageError):
        decode(data, 3, LIMIT)


@pytest.mark.parametrize("image_format", ["GIF", "PPM", "ICO", "PDF", "EPS"])
def test_formats_that_stay_closed(image_format: str) -> None:
    with pytest.raises(BadImageError, match="not an image, or none of the formats JPEG"):
        decode(encoded(RGB, image_format), 3, LIMIT)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_cut_short(image_format: str, share: float) -> None:
    data = encoded(Image.fromarray(noise(60, 50)), image_format)
    with pytest.raises(BadImageError):
        decode(data[: int(len(data) * share)], 3, LIMIT)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "MPO"])
def test_damage_ends_in_pixels_or_in_a_reason(image_format: str) -> None:
    data = encoded(Image.fromarray(noise(24, 20)), image_format)
    rng = np.random.default_rng(4)
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Whatever else is raised fails the test.
            with contextlib.suppress(BadImageError):
                assert decode(bytes(damaged), 3, LIMIT).pixels.size


def test_a_bomb_is_seen_in_its_header() -> None:
    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImageError, match="decompression bomb: 40000 × 40000"):
            decode(data, 3, 178_956_970)


def test_the_limit_itself_is_allowed() -> None:
    assert decode(encoded(RGB, "PNG"), 3, 20).width == 5
    with pytest.raises(BadImageError, match="bomb"):
        decode(encoded(RGB, "PNG"), 3, 19)


@pytest.mark.parametrize(
    ("size", "good"), [((1020, 20), False), ((20, 1020), False), ((1000, 20), True), ((900, 1), True)]
)
def test_absurd_shapes(size: tuple[int, int], good: bool) -> None:
    data = encoded(Image.new("RGB", size), "PNG")
    if good:
        assert decode(data, 3, LIMIT).width == size[0]
    else:
        with pytest.raises(BadImageError, match="no photograph"):
            decode(data, 3, LIMIT)


def test_an_installation_that_cannot_read_a_format_is_no_reason_to_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    check_decoders()
    monkeypatch.delitem(Image.OPEN, "WEBP")
    with pytest.raises(EngineError, match="cannot read WEBP"):
        check_decoders()


def seen(data: bytes, max_side: int, in_channels: Literal[1, 3] = 3) -> DecodedImage:
    image = decode(data, in_channels, 10**8, max_side=max_side)
    assert image.pixels.shape == (image.height, image.width, in_channels)
    assert image.pixels.flags.c_contiguous
    return image


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_large_photographs_are_scaled_down(image_format: str) -> None:
    image = seen(encoded(Image.fromarray(noise(1000, 640)), image_format), 320)
    assert (image.width, image.height) == (320, 205)
    assert image.full_size == image.mask_size == (640, 1000)


def test_small_ones_are_not() -> None:
    image = seen(encoded(Image.fromarray(noise(32, 20)), "PNG"), 32)
    assert image.full_size is None
    assert image.mask_size == (20, 32)
    assert np.array_equal(image.pixels, noise(32, 20))


def test_scaling_down_is_antialiased() -> None:
    # Without a low-pass filter, a reduction by four sees the middle two of four columns alone.
    stripes = np.full((128, 128, 3), 255, np.uint8)
    stripes[:, 1::4] = stripes[:, 2::4] = 100
    image = seen(encoded(Image.fromarray(stripes), "PNG"), 32)
    assert np.abs(image.pixels[:, 1:-1].astype(int) - 178).max() <= 2


def test_a_jpeg_scaled_by_its_decoder_first_is_nearly_the_same() -> None:
    smooth = Image.fromarray(noise(40, 30)).resize((1600, 1200), Image.Resampling.BICUBIC)
    jpeg = encoded(smooth, "JPEG", quality=95)
    whole = Image.open(io.BytesIO(jpeg)).resize((160, 120), Image.Resampling.BILINEAR)
    difference = np.abs(seen(jpeg, 160).pixels.astype(int) - np.asarray(whole))
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) < 8


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF", "PNG"])
def test_what_is_turned_is_turned_after_it_is_scaled(image_format: str) -> None:
    picture = Image.fromarray(np.concatenate([np.zeros((60, 50, 3), np.uint8), np.full((60, 50, 3), 255, np.uint8)], 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = seen(encoded(picture, image_format, exif=exif), 50)
    assert (image.height, image.width) == (50, 30)
    assert image.full_size == (100, 60)
    assert image.pixels[:20].max() < 30
    assert image.pixels[30:].min() > 225


@pytest.mark.parametrize("in_channels", [1, 3])
def test_sixteen_bits_are_scaled_down_too(in_channels: Literal[1, 3]) -> None:
    ramp = (np.arange(200 * 100).reshape(100, 200) * 3).astype(np.uint16)
    image = seen(encoded(Image.fromarray(ramp), "PNG"), 50, in_channels)
    assert image.pixels.dtype == np.float32
    expected = ramp.reshape(25, 4, 50, 4).mean(axis=(1, 3)) / 65535
    assert np.abs(image.pixels[2:-2, 2:-2, 0] - expected[2:-2, 2:-2]).max() < 0.01


def test_memory_is_asked_for_once_the_header_is_read() -> None:
    asked: list[int] = []
    jpeg = encoded(Image.fromarray(noise(1600, 1200)), "JPEG")
    decode(jpeg, 3, 10**8, reserve=asked.append)
    decode(jpeg, 3, 10**8, max_side=160, reserve=asked.append)
    assert asked[0] == int(7.5 * 1600 * 1200)
    assert asked[1] == 12 * 400 * 300
    with contextlib.suppress(BadImageError):
        decode(b"no image", 3, 10**8, reserve=asked.append)
    assert len(asked) == 2


def test_whoever_has_no_memory_may_refuse() -> None:
    def refuse(amount: int) -> None:
        raise BadImageError(f"no room for {amount}")

    with pytest.raises(BadImageError, match="no room for 150"):
        decode(encoded(RGB, "PNG"), 3, LIMIT, reserve=refuse)
