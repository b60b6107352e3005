"""Programs that take only one batch size, or at least two images."""

import numpy as np
import pytest
import torch

from tests.engine.network.test_program_inputs import HEAD, adaptive, images, logits, predictor
from tests.support.programs import exported, saved


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("number", [1, 3, 4, 9])
def test_batches_of_a_fixed_size_are_filled(batch: int, number: int) -> None:
    it = predictor(exported(HEAD, batch=batch), size_multiple=4)
    assert adaptive(it).limit((16, 24)) == batch
    given = images(24, 16, number)
    for image, found in zip(given, it.predict(given), strict=True):
        assert np.array_equal(found.classes, (logits(image.pixels)[0, 0] > 0).numpy())


def test_batches_of_at_least_two_are_filled() -> None:
    many = torch.export.Dim("n", min=2, max=8)
    it = predictor(saved(HEAD, torch.rand(2, 3, 16, 24), {0: many}), fit="tile")
    assert (it.network.batch, it.network.fewest, adaptive(it).limit((16, 24))) == (None, 2, 8)
    for number in (1, 2, 3):
        given = images(24, 16, number)
        for image, found in zip(given, it.predict(given), strict=True):
            assert np.array_equal(found.classes, (logits(image.pixels)[0, 0] > 0).numpy())


def test_a_large_photograph_and_a_fixed_batch() -> None:
    it = predictor(exported(HEAD, batch=4), size_multiple=4)
    (image,) = images(80, 60)
    model = adaptive(it, max_pixels=4 * 40 * 40)
    assert model.limit((60, 80)) == 1
    assert np.array_equal(model.predict([image])[0].classes, (logits(image.pixels)[0, 0] > 0).numpy())
