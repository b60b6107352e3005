import io

import numpy as np
import pytest
from PIL import Image

from cloudseg_ops.engine.masks import cloud_fraction, encode_mask, palette


@pytest.mark.parametrize("n_classes", [1, 2, 3, 17, 256])
def test_a_mask_is_an_eight_bit_palette_png_of_class_indices(n_classes: int) -> None:
    classes = np.arange(12 * 30, dtype=np.int64).reshape(12, 30) % max(2, n_classes)
    data = encode_mask(classes.astype(np.uint8), n_classes)
    assert data[24:26] == bytes([8, 3])  # IHDR: eight bits, color type 3 (palette)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), classes)
    shown = np.asarray(image.convert("RGB"))
    assert shown[0, 0].tolist() == [0, 191, 255]
    assert shown[0, 1].tolist() == [255, 255, 255]


def test_every_class_has_a_color_of_its_own() -> None:
    colors = palette(24)
    assert len({colors[start : start + 3] for start in range(0, 72, 3)}) == 24


def test_cloud_fraction_counts_class_one_alone() -> None:
    assert cloud_fraction(np.array([[0, 1], [2, 1]], np.uint8)) == 0.5
    assert cloud_fraction(np.zeros((1, 1), np.uint8)) == 0
