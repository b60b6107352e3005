import numpy as np
import pytest
import torch
from torch.nn import functional

from cloudseg_ops.engine.images.restore import Prediction, classify


def smooth(classes: int, height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    torch.manual_seed(classes)
    coarse = torch.randn(1, classes, 5, 7)
    return functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0].numpy()


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("size", [(60, 96), (61, 97), (20, 33), (2500, 3000)])
def test_logits_are_scaled_up_as_pytorch_scales_them(classes: int, size: tuple[int, int]) -> None:
    logits = smooth(classes, 20, 32)
    full = functional.interpolate(torch.from_numpy(logits)[None], size, mode="bilinear", align_corners=False)[0]
    expected = (full[0] > 0).numpy() if classes == 1 else full.argmax(0).numpy()
    got = Prediction(logits).restored(size)
    assert got.dtype == np.uint8
    assert got.shape == size
    assert (got == expected).mean() > 0.9999
    assert len(np.unique(got)) > 1


def test_classes_stay_as_they_are() -> None:
    classes = np.eye(4, dtype=np.uint8)
    assert Prediction(classes).restored((4, 4)) is classes
    assert Prediction(classes).classes is classes


def test_classes_of_logits_at_their_own_size() -> None:
    logits = smooth(3, 20, 32)
    assert np.array_equal(Prediction(logits).classes, logits.argmax(0))
    assert np.array_equal(Prediction(logits).restored((20, 32)), logits.argmax(0))
    assert np.array_equal(classify(logits[:1]), logits[0] > 0)
