import io

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.contracts.overlay import CLOUD_TINT, draw_overlay, draw_pair, to_jpeg

TINT = np.array([255, 64, 129], np.float32)


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8))


def _cloud(width: int, height: int) -> Image.Image:
    cloud = np.zeros((height, width), np.uint8)
    cloud[height // 4 :, width // 4 :] = 255
    return Image.fromarray(cloud)


def test_clouds_are_tinted_and_outlined_and_all_else_is_as_photographed() -> None:
    """Compared with the mixture of colors in single precision, pixel by pixel."""
    photograph, cloud = _noise(640, 480), _cloud(640, 480)
    before, drawn = np.asarray(photograph), np.asarray(draw_overlay(photograph, cloud))
    assert np.array_equal(drawn[:120], before[:120])
    assert np.array_equal(drawn[:, :160], before[:, :160])
    assert (drawn[120, 160:] == TINT).all()
    assert (drawn[120:, 160] == TINT).all()
    strength = np.float32(0.35)
    mixed = np.round(before[121:, 161:] * (1 - strength) + TINT * strength)
    assert np.array_equal(drawn[121:, 161:], mixed)


def test_the_photograph_itself_is_left_as_it_is() -> None:
    photograph = _noise(16, 16)
    draw_overlay(photograph, _cloud(16, 16))
    assert np.array_equal(np.asarray(photograph), np.asarray(_noise(16, 16)))


def test_a_mask_of_another_size_is_fitted() -> None:
    assert draw_overlay(_noise(64, 48), _cloud(6, 4)).size == (64, 48)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2)])
def test_what_is_too_small_has_no_outline(size: tuple[int, int]) -> None:
    black = Image.new("RGB", size)
    drawn = np.asarray(draw_overlay(black, Image.new("L", size, 255)))
    assert (drawn == np.round(TINT * np.float32(0.35))).all()


def test_both_stand_side_by_side() -> None:
    photograph, cloud = _noise(20, 10), _cloud(20, 10)
    pair = draw_pair(photograph, cloud)
    assert pair.size == (2 * 20 + 4, 10)
    assert np.array_equal(np.asarray(pair)[:, :20], np.asarray(photograph))
    assert (np.asarray(pair)[:, 20:24] == 255).all()
    assert np.array_equal(np.asarray(pair)[:, 24:], np.asarray(draw_overlay(photograph, cloud)))


def test_a_jpeg_says_nothing_of_its_file() -> None:
    image = _noise(8, 8)
    image.info["comment"] = b"where it was taken"
    written = Image.open(io.BytesIO(to_jpeg(image)))
    assert (written.format, written.size) == ("JPEG", (8, 8))
    assert "comment" not in written.info


def test_the_tint_is_what_the_legends_show() -> None:
    outlined = np.asarray(draw_overlay(Image.new("RGB", (9, 9)), _cloud(9, 9)))
    assert "#{:02x}{:02x}{:02x}".format(*outlined[2, 4]) == CLOUD_TINT
