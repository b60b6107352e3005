"""Photographs of more than eight bits: results name those that use little of their range."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.errors import BadImageError
from cloudseg_ops.contracts.provenance import MaskProvenance
from cloudseg_ops.engine.images.decode import decode
from gcs_emulator import Emulator
from tests.support.lab import Lab, encoded, noise, picture, run
from tests.support.tiffs import tiff

LIMIT = 10**6


def grey(high: int, dtype: type = np.uint16) -> bytes:
    return tiff((np.array([[0, high]], dtype), {}))


@pytest.mark.parametrize(
    ("data", "used"),
    [
        (grey(8191), 0.125), (grey(8192), None), (grey(65535), None), (grey(4095), 0.0625), (grey(0), 1 / 65536),
        (grey(4095, np.int32), 0.0625), (grey(4095, np.float32), 0.0625), (grey(20000, np.float32), None),
        (tiff((np.array([[0, 0.01]], np.float32), {})), None), (grey(200, np.uint8), None),
    ],
)  # fmt: skip
def test_range_used_of_grey_photographs(data: bytes, used: float | None) -> None:
    assert decode(data, 3, LIMIT).range_used == (used and round(used, 6))
    assert decode(data, 1, LIMIT, max_side=1).range_used == (used and round(used, 6))


@pytest.mark.parametrize(("high", "used"), [(8191, 0.125), (8192, None), (65535, None), (1000, 0.015625)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colors_are_judged_although_pillow_reads_their_upper_eight_bits(
    high: int, used: float | None, order: str
) -> None:
    values = np.full((2, 3, 3), 7, np.uint16)
    values[0, 1, 2] = high
    image = decode(tiff((values, {}), order=order), 3, LIMIT)
    assert image.pixels.dtype == np.uint8
    assert image.range_used == used


def test_range_used_ignores_alpha() -> None:
    values = np.full((2, 3, 4), 65535, np.uint16)
    values[..., :3] = 1000
    assert decode(tiff((values, {338: 2})), 3, LIMIT).range_used == 0.015625


def test_range_used_of_color_png() -> None:
    import struct
    import zlib

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = piece(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    for high, used in ((4095, 0.0625), (9000, None)):
        body = piece(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 0, 0, high)))
        data = b"\x89PNG\r\n\x1a\n" + header + body + piece(b"IEND", b"")
        assert decode(data, 3, LIMIT).range_used == used


def test_range_used_is_none_for_eight_bits() -> None:
    assert decode(encoded(Image.fromarray(noise(8, 8) // 40), "PNG"), 3, LIMIT).range_used is None


def test_white_of_packed_12_bits() -> None:
    # Two values of 12 bits in three bytes: 0 and 4095.
    data = tiff((np.array([[0, 0x0F, 0xFF]], np.uint8), {256: 2, 258: 12, 279: 3}))
    image = decode(data, 1, LIMIT)
    assert image.pixels[0, :, 0].tolist() == [0, 1]
    assert image.range_used is None


def test_unsigned_32_bit_values_out_of_range() -> None:
    with pytest.raises(BadImageError, match="values above 2,147,483,647"):
        decode(tiff((np.array([[0, 2**31]], np.uint32), {})), 3, LIMIT)


@pytest.mark.parametrize("helpers", [0, 1])
def test_range_used_survives_a_retry(
    lab: Lab, helpers: int, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    lab.write_chunk([lab.put("dark.tif", grey(4095)), lab.put("fine.png", picture(8, 8))])
    if helpers:
        lab.set(io_processes=1)
    for outcomes in (["done", "done"], ["skipped", "skipped"]):
        run(lab)
        assert [str(result.outcome) for result in lab.results()] == outcomes
        assert [result.range_used for result in lab.results()] == [0.0625, None]
    provenance = lab.provenance("dark.tif")
    assert provenance.range_used == 0.0625
    assert "cloudseg-range-used" not in lab.provenance("fine.png").to_metadata()
    older = {key: value for key, value in provenance.to_metadata().items() if key != "cloudseg-range-used"}
    assert MaskProvenance.from_metadata(older) == replace(provenance, range_used=None)
