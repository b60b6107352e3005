"""The gallery's pictures look like the engine's previews."""

import io

import numpy as np
from PIL import Image

from cloudseg_ops.contracts.overlay import draw_pair, to_jpeg
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.engine.images.masks import encode_mask
from cloudseg_ops.engine.images.previews import render_preview
from cloudseg_ops.gallery.decoding import decode_mask, decode_photograph
from cloudseg_ops.gallery.pictures import as_png, cloud_of
from tests.gallery.runs import half_cloud, photograph


def _pair(data: bytes, mask: bytes) -> bytes:
    return to_jpeg(draw_pair(decode_photograph(data, 320), cloud_of(decode_mask(mask, 320))))


def test_a_pair_is_what_the_engine_previews() -> None:
    data = photograph((160, 120), "PNG")
    classes = np.zeros((120, 160), np.uint8)
    classes[20:80, 30:150] = 1
    classes[60:, :20] = 2
    engine = render_preview(decode(data, 3, 10**6), classes)
    gallery = _pair(data, encode_mask(classes, 3))
    ours, theirs = (np.asarray(Image.open(io.BytesIO(jpeg))).astype(int) for jpeg in (gallery, engine))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 6


def test_a_mask_of_another_size_is_fitted() -> None:
    pair = _pair(photograph((64, 48)), half_cloud((6, 4)))
    assert Image.open(io.BytesIO(pair)).size == (2 * 64 + 4, 48)


def test_the_smallest_photograph() -> None:
    pair = _pair(photograph((1, 1)), half_cloud((2, 2)))
    assert Image.open(io.BytesIO(pair)).size == (6, 1)


def test_nothing_of_the_files_own_words_is_passed_on() -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 0.0)}  # where it was taken
    data = photograph(exif=exif, icc_profile=b"a profile", comment=b"a comment")
    shown = Image.open(io.BytesIO(to_jpeg(decode_photograph(data, 320))))
    assert not shown.getexif()
    assert not {"exif", "icc_profile", "comment"} & set(shown.info)


def test_a_mask_alone_has_its_palettes_colors() -> None:
    shown = Image.open(io.BytesIO(as_png(decode_mask(half_cloud(), 320))))
    assert shown.format == "PNG"
    assert (shown.convert("RGB").getpixel((0, 0)), shown.convert("RGB").getpixel((63, 0))) == (
        (0, 191, 255),
        (255, 255, 255),
    )
