"""AVIF and HEIC: read where a decoder is installed, and no reason for a quarantine where it is not."""

import base64
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from cloudseg_ops.contracts.errors import BadImageError, DecoderMissingError
from cloudseg_ops.contracts.photographs import FORMATS, readable_formats
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.gallery.decoding import decode_photograph
from tests.support.lab import Lab, encoded, picture, run
from tests.support.odd_files import box

# 64 × 48 pixels, red and blue, darker above, rotated as a phone's are (irot, and EXIF orientation 6).
# Made elsewhere, because no package of the tests' environment writes HEIC.
HEIC = zlib.decompress(
    base64.b64decode(
        "eNpjYGCQSSupLMhIzUxmAILczDRDEDs3MzGNgYFxS25qSSIDBChmpOQUQdkMBZnJJQxowCQzJx9siIsDAxMDI4jFeANCA0EaUAwImOzgI"
        "ipAbJGZmZcG5oFkRYGcVLAyoJqMsmRDBiRBRpAS14pMsHK+gsySXAaoSobPmQVFBUD6cmZBcj6QLgPqdWZkBglNACuS+8Dw5++PHwwM/M"
        "wJQB0SDow8jP//gxQwg1Qwg5DcLiaHRKCklhMjI5rMAoVG1mmvnizbuYMjw0ABKMQMIhgUk4DK2VwYDxYf6ARaIpJZXJAK9ZsDFGsk5yQ"
        "WQNkglxpAabCP/////wHqc4GCzIpMkCAzBwcHkOLMLMovAVrOIJFZkAuLAUYGRtZGJpbmViBbKrMoNQ0qzpecUpwMDnKQ0ZNyUxJBcZOk"
        "wbheuOGpUen/78+Efwv4P/qU5rfgiMaeN/OP9Gzs1nHc8fL9F8GPc7z+5j/iMknX2/+tOOnYXNmk4Ji/3169lYw7cE+wvlM93WVdxnSFP"
        "UEV8/W7nzLu22qpEqS0fJLT75hXjjo7A4C2sEFixNeXQQvI42BgZBQCBRooYCCOAwDNO4Uu"
    )
)
LIMIT = 10**6

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow does not read AVIF")


@pytest.fixture
def _no_decoders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation without the decoders of AVIF and HEIC."""
    check = features.check
    monkeypatch.setattr(features, "check", lambda name: name != "avif" and check(name))
    for plugin in ("pi_heif", "pillow_heif"):
        monkeypatch.setitem(sys.modules, plugin, None)
    readable_formats.cache_clear()
    yield
    monkeypatch.undo()
    readable_formats.cache_clear()


def quarters(orientation: int = 1) -> Image.Image:
    values = np.zeros((48, 64, 3), np.uint8)
    values[:, :32], values[:, 32:] = (200, 40, 40), (30, 60, 200)
    values[:24] //= 2
    image = Image.fromarray(values)
    image.getexif()[0x0112] = orientation
    return image


def check_rotated(pixels: Any) -> None:
    """Rotated by 90° clockwise: what was on the left is above, and what was above is on the right."""
    assert pixels.shape == (64, 48, 3)
    for rows, columns, color in ((16, 12, (200, 40, 40)), (16, 36, (100, 20, 20)), (48, 12, (30, 60, 200))):
        assert np.abs(pixels[rows, columns].astype(int) - color).max() < 15


@needs_avif
def test_avif_is_rotated() -> None:
    image = quarters(6)
    data = encoded(image, "AVIF", quality=90, exif=image.getexif())
    check_rotated(decode(data, 3, LIMIT).pixels)
    check_rotated(np.asarray(decode_photograph(data, 320)))


@needs_avif
def test_avif_with_alpha_is_scaled_down() -> None:
    image = quarters()
    image.putalpha(0)
    seen = decode(encoded(image, "AVIF", quality=90), 3, LIMIT, max_side=32)
    assert (seen.pixels.shape, seen.full_size) == ((24, 32, 3), (48, 64))
    assert np.abs(seen.pixels[18, 8].astype(int) - (200, 40, 40)).max() < 15


@needs_avif
def test_bad_avif_is_rejected() -> None:
    data = encoded(quarters(), "AVIF")
    asked: list[int] = []
    with pytest.raises(BadImageError, match="bomb"):
        decode(data, 3, 64 * 48 - 1, reserve=asked.append)
    frames = encoded(quarters(), "AVIF", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    with pytest.raises(BadImageError, match="several frames"):
        decode(frames, 3, LIMIT)
    with pytest.raises(BadImageError):
        decode(data[: len(data) // 2], 3, LIMIT)
    assert not asked


def test_heic_is_rotated() -> None:
    pytest.importorskip("pi_heif")
    check_rotated(decode(HEIC, 3, LIMIT).pixels)
    check_rotated(np.asarray(decode_photograph(HEIC, 320)))
    with pytest.raises(BadImageError, match=r"broken|truncated"):
        decode(HEIC[:-50], 3, LIMIT)


@pytest.mark.usefixtures("_no_decoders")
@pytest.mark.parametrize(
    ("data", "named", "package"),
    [(HEIC, "a HEIC image", r"cloudseg\[heif\]"), (box(b"avif", b"mif1"), "an AVIF image", "pillow"),
     (box(b"mif1", b"mif1", b"avif"), "an AVIF image", "pillow"), (box(b"mif1", b"heic"), "a HEIC image", "pi-heif")],
)  # fmt: skip
def test_missing_decoder_message_says_what_to_install(data: bytes, named: str, package: str) -> None:
    assert readable_formats() == FORMATS
    with pytest.raises(DecoderMissingError, match=f"^{named}, whose decoder is not installed: convert it .*{package}"):
        decode(data, 3, LIMIT)


@pytest.mark.usefixtures("_no_decoders")
def test_missing_decoder_quarantines_only_misnamed_files(lab: Lab) -> None:
    lab.write_chunk([lab.put("a.heic", HEIC), lab.put("b.jpg", HEIC), lab.put("c.png", picture(8, 8))])
    with pytest.raises(DecoderMissingError, match=r"1 of 3 images unaccounted for.*a\.heic: .*cloudseg\[heif\]"):
        run(lab)
    assert lab.outcomes() == {"b.jpg": "quarantined", "c.png": "done"}


@pytest.mark.usefixtures("_no_decoders")
def test_missing_decoder_does_not_end_the_chunk_early(lab: Lab) -> None:
    lab.write_chunk([*(lab.put(f"{number}.heic", HEIC) for number in range(40)), lab.put("last.png", picture(8, 8))])
    with pytest.raises(DecoderMissingError, match="40 failed in a way that a retry cannot fix; 1 others succeeded"):
        run(lab)
    assert lab.outcomes() == {"last.png": "done"}
    lab.write_chunk([lab.put("only.heic", HEIC)])
    with pytest.raises(DecoderMissingError, match=r"no other succeeded\. The first is only\.heic"):
        run(lab)
