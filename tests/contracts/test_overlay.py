import io

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD_TINT, draw_overlay, draw_pair, to_jpeg
from cloudseg_ops.engine.images.decode import decode
from cloudseg_ops.engine.images.masks import encode_mask
from cloudseg_ops.engine.io.preview_writer import render_preview
from cloudseg_ops.gallery.decoding import decode_mask, decode_photograph
from cloudseg_ops.gallery.pictures import as_png, cloud_of
from tests.gallery.runs import half_cloud, photograph

TINT = np.array([255, 64, 129], np.float32)


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def _cloud(width: int, height: int) -> Image.Image:
    cloud = np.zeros((height, width), np.uint8)
    cloud[height // 4 :, width // 4 :] = 255
    return Image.fromarray(cloud)


def test_only_clouds_are_tinted_and_outlined() -> None:
    """Compared pixel by pixel with colors blended in single precision."""
    photograph, cloud = _noise(640, 480), _cloud(640, 480)
    before, drawn = np.asarray(photograph), np.asarray(draw_overlay(photograph, cloud))
    assert np.array_equal(drawn[:120], before[:120])
    assert np.array_equal(drawn[:, :160], before[:, :160])
    assert (drawn[120, 160:] == TINT).all()
    assert (drawn[120:, 160] == TINT).all()
    strength = np.float32(0.35)
    mixed = np.round(before[121:, 161:] * (1 - strength) + TINT * strength)
    assert np.array_equal(drawn[121:, 161:], mixed)


def test_photograph_is_not_modified() -> None:
    photograph = _noise(16, 16)
    draw_overlay(photograph, _cloud(16, 16))
    assert np.array_equal(np.asarray(photograph), np.asarray(_noise(16, 16)))


def test_mask_of_another_size_is_scaled() -> None:
    assert draw_overlay(_noise(64, 48), _cloud(6, 4)).size == (64, 48)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2)])
def test_tiny_mask_has_no_outline(size: tuple[int, int]) -> None:
    black = Image.new("RGB", size)
    drawn = np.asarray(draw_overlay(black, Image.new("L", size, 255)))
    assert (drawn == np.round(TINT * np.float32(0.35))).all()


def test_pair_is_side_by_side() -> None:
    photograph, cloud = _noise(20, 10), _cloud(20, 10)
    pair = draw_pair(photograph, cloud)
    assert pair.size == (2 * 20 + 4, 10)
    assert np.array_equal(np.asarray(pair)[:, :20], np.asarray(photograph))
    assert (np.asarray(pair)[:, 20:24] == 255).all()
    assert np.array_equal(np.asarray(pair)[:, 24:], np.asarray(draw_overlay(photograph, cloud)))


def test_jpeg_has_no_metadata_of_the_source() -> None:
    image = _noise(8, 8)
    image.info["comment"] = b"where it was taken"
    written = Image.open(io.BytesIO(to_jpeg(image)))
    assert (written.format, written.size) == ("JPEG", (8, 8))
    assert "comment" not in written.info


def test_tint_matches_the_legend() -> None:
    outlined = np.asarray(draw_overlay(Image.new("RGB", (9, 9)), _cloud(9, 9)))
    assert "#{:02x}{:02x}{:02x}".format(*outlined[2, 4]) == CLOUD_TINT


def _pair(data: bytes, mask: bytes) -> bytes:
    return to_jpeg(draw_pair(decode_photograph(data, 320), cloud_of(decode_mask(mask, 320))))


def test_pair_matches_the_engine_s_preview() -> None:
    data = photograph((160, 120), "PNG")
    classes = np.zeros((120, 160), np.uint8)
    classes[20:80, 30:150] = 1
    classes[60:, :20] = 2
    engine = render_preview(decode(data, 3, 10**6), classes)
    gallery = _pair(data, encode_mask(classes, 3))
    ours, theirs = (np.asarray(Image.open(io.BytesIO(jpeg))).astype(int) for jpeg in (gallery, engine))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 6


def test_pair_with_a_mask_of_another_size_is_scaled() -> None:
    pair = _pair(photograph((64, 48)), half_cloud((6, 4)))
    assert Image.open(io.BytesIO(pair)).size == (2 * 64 + 4, 48)


def test_pair_of_a_one_pixel_photograph() -> None:
    pair = _pair(photograph((1, 1)), half_cloud((2, 2)))
    assert Image.open(io.BytesIO(pair)).size == (6, 1)


def test_exif_profile_and_comment_are_removed() -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 0.0)}  # where it was taken
    data = photograph(exif=exif, icc_profile=b"a profile", comment=b"a comment")
    shown = Image.open(io.BytesIO(to_jpeg(decode_photograph(data, 320))))
    assert not shown.getexif()
    assert not {"exif", "icc_profile", "comment"} & set(shown.info)


def test_mask_without_photograph_has_palette_colors() -> None:
    shown = Image.open(io.BytesIO(as_png(decode_mask(half_cloud(), 320))))
    assert shown.format == "PNG"
    assert (shown.convert("RGB").getpixel((0, 0)), shown.convert("RGB").getpixel((63, 0))) == (
        (0, 191, 255),
        (255, 255, 255),
    )
