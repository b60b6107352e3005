"""Untrusted photographs: shown upright, or rejected before they use memory or time."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.gallery import decoding
from cloudseg_ops.gallery.decoding import MAX_PIXELS, decode_mask, decode_photograph
from cloudseg_ops.gallery.errors import NotShownError
from tests.gallery.runs import half_cloud, photograph
from tests.support.lab import encoded

ORIENTATION = 0x0112


def _png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG with a size in its header and arbitrary data."""

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", body) + piece(b"IEND", b"")


def _gradient(mode: str) -> Image.Image:
    ramp = np.linspace(0, 1, 64)
    values = np.broadcast_to(ramp, (48, 64))
    if mode == "F":
        return Image.fromarray(values.astype(np.float32))
    if mode == "I;16":
        return Image.fromarray((values * 65535).astype(np.uint16))
    return Image.fromarray((values * 255).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_every_format_of_the_engine_is_shown(image_format: str) -> None:
    shown = decode_photograph(photograph((640, 480), image_format), 320)
    assert (shown.size, shown.mode) == ((320, 240), "RGB")
    assert np.abs(np.asarray(shown).astype(int) - (90, 140, 220)).max() < 12


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [
        ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("I;16", "TIFF"),
        ("F", "TIFF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("RGBA", "WEBP"),
    ],
)  # fmt: skip
def test_every_pixel_mode_is_shown(mode: str, image_format: str) -> None:
    shown = np.asarray(decode_photograph(encoded(_gradient(mode), image_format), 320)).astype(int)
    assert shown.shape == (48, 64, 3)
    assert shown[:, :4].mean() < 40
    assert shown[:, -4:].mean() > 215


def test_transparency_is_ignored() -> None:
    clear = Image.new("RGBA", (640, 480), (200, 30, 30, 0))
    shown = np.asarray(decode_photograph(encoded(clear, "PNG"), 320)).astype(int)
    assert np.abs(shown - (200, 30, 30)).max() < 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_matches_the_engine(orientation: int, image_format: str) -> None:
    from cloudseg_ops.engine.images.decode import decode

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (3, 4, 3), np.uint8)).resize(
        (200, 150), Image.Resampling.NEAREST
    )
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(image, image_format, exif=exif)
    seen = decode(data, 3, 10**6).pixels.astype(int)
    shown = np.asarray(decode_photograph(data, 320)).astype(int)
    assert shown.shape == seen.shape
    assert np.abs(shown - seen).mean() < 3


def test_first_picture_of_an_mpo_is_shown() -> None:
    stream = io.BytesIO()
    first, second = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")
    first.save(stream, "MPO", save_all=True, append_images=[second])
    assert decode_photograph(stream.getvalue(), 320).getpixel((9, 9)) == pytest.approx((254, 0, 0), abs=3)


BAD = {
    "empty": b"",
    "text": b"This is a note about the sky.",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "cut short": photograph((640, 480))[:2000],
    "gif": encoded(Image.new("P", (8, 8)), "GIF"),
    "icon": encoded(Image.new("RGB", (16, 16)), "ICO"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "bomb": _png(50_000, 50_000, zlib.compress(bytes(10_000_000))),
    "wide": _png(2**31 - 1, 1),
    "no pixels": _png(0, 5),
}


@pytest.mark.parametrize("kind", BAD)
def test_invalid_photograph_is_rejected_with_a_reason(kind: str) -> None:
    with pytest.raises(NotShownError) as raised:
        decode_photograph(BAD[kind], 320)
    assert len(str(raised.value)) > 10
    assert "\n" not in str(raised.value)
    assert " object at 0x" not in str(raised.value)


def test_animation_is_rejected() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(NotShownError, match="several frames"):
        decode_photograph(data, 320)


def test_decompression_bomb_uses_little_memory() -> None:
    data = BAD["bomb"]
    tracemalloc.start()
    with pytest.raises(NotShownError):
        decode_photograph(data, 320)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_large_jpeg_is_decoded_at_reduced_size_unless_progressive() -> None:
    size = (8000, 4000)
    assert size[0] * size[1] > MAX_PIXELS
    assert decode_photograph(photograph(size), 320).size == (320, 160)
    with pytest.raises(NotShownError, match="more than the 25,000,000 that are decoded"):
        decode_photograph(photograph(size, progressive=True), 320)


def test_decoding_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DECODING_SECONDS", -1.0)
    with pytest.raises(NotShownError, match="TimeoutError"):
        decode_photograph(photograph(), 320)


def test_mask_keeps_its_classes_and_colors() -> None:
    mask = decode_mask(half_cloud((640, 480)), 320)
    assert (mask.size, mask.mode) == ((320, 240), "P")
    assert sorted({int(value) for value in np.asarray(mask).ravel()}) == [0, 1]
    assert np.asarray(mask)[0, 319] == 1
    assert mask.convert("RGB").getpixel((0, 0)) == (0, 191, 255)


@pytest.mark.parametrize(
    "data",
    [photograph(), photograph(image_format="PNG"), b"", _png(50_000, 50_000)],
    ids=["jpeg", "rgb", "empty", "bomb"],
)
def test_invalid_mask_is_rejected(data: Any) -> None:
    with pytest.raises(NotShownError):
        decode_mask(data, 320)
