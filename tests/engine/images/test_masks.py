import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cloudseg_ops.engine.images.masks import Prediction, classify, cloud_fraction, encode_mask, palette
from cloudseg_ops.engine.images.row_blocks import BAND_PIXELS


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


def test_every_class_has_a_distinct_color() -> None:
    colors = palette(24)
    assert len({colors[start : start + 3] for start in range(0, 72, 3)}) == 24


def test_cloud_fraction_counts_only_class_one() -> None:
    assert cloud_fraction(np.array([[0, 1], [2, 1]], np.uint8)) == 0.5
    assert cloud_fraction(np.zeros((1, 1), np.uint8)) == 0


def test_cloud_fraction_is_computed_over_many_row_blocks() -> None:
    classes = np.random.default_rng(1).integers(0, 3, (1100, 2001), dtype=np.uint8)
    assert classes.size > 2 * BAND_PIXELS
    assert cloud_fraction(classes) == (classes == 1).sum() / classes.size


def _clouds(side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return shapes with ragged edges, like those of a network."""
    rng = np.random.default_rng(5)
    field = np.zeros((side, side), np.float32)
    for cell, weight in ((128, 1.0), (16, 0.4), (4, 0.1)):
        grid = Image.fromarray(rng.standard_normal((side // cell, side // cell)).astype(np.float32))
        field += weight * np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC))
    return (field > 0).astype(np.uint8)


def test_masks_compress_well() -> None:
    classes = _clouds(1024)
    usual = io.BytesIO()
    Image.fromarray(classes).save(usual, "PNG")
    assert len(encode_mask(classes, 1)) < 1.05 * len(usual.getvalue())
    assert len(encode_mask(classes, 1)) < classes.size / 30


def smooth(classes: int, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    torch.manual_seed(classes)
    coarse = torch.randn(1, classes, 5, 7)
    return functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0].numpy()


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("size", [(60, 96), (61, 97), (20, 33), (2500, 3000)])
def test_logits_are_upsampled_as_by_pytorch(classes: int, size: tuple[int, int]) -> None:
    logits = smooth(classes, 20, 32)
    full = functional.interpolate(torch.from_numpy(logits)[None], size, mode="bilinear", align_corners=False)[0]
    expected = (full[0] > 0).numpy() if classes == 1 else full.argmax(0).numpy()
    got = Prediction(logits).restored(size)
    assert got.dtype == np.uint8
    assert got.shape == size
    assert (got == expected).mean() > 0.9999
    assert len(np.unique(got)) > 1


def test_class_masks_are_returned_unchanged() -> None:
    classes = np.eye(4, dtype=np.uint8)
    assert Prediction(classes).restored((4, 4)) is classes
    assert Prediction(classes).classes is classes


def test_logits_of_the_mask_size_are_classified_directly() -> None:
    logits = smooth(3, 20, 32)
    assert np.array_equal(Prediction(logits).classes, logits.argmax(0))
    assert np.array_equal(Prediction(logits).restored((20, 32)), logits.argmax(0))
    assert np.array_equal(classify(logits[:1]), logits[0] > 0)
