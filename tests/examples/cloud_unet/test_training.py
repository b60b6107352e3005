from pathlib import Path

import numpy as np
import pytest
import torch
from data import generate
from loop import Recipe, cloud_loss, predict, train
from weights import load, save

from cloudseg_ops.engine.network.networks import UNet


def test_a_few_steps_lower_the_loss() -> None:
    scenes = [scene for scene in generate(8, seed=0) if 0.1 < scene.label.mean() < 0.9][:2]
    _, losses = train(Recipe(steps=16, batch=3, width=4, depth=2, rate=2e-2), [], scenes)

    assert len(losses) == 16
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:3])


def test_training_needs_examples() -> None:
    with pytest.raises(ValueError, match="--data"):
        train(Recipe(steps=1), [], [])


def test_loss_ignores_undefined_pixels() -> None:
    logits = torch.tensor([[[4.0, -4.0, 100.0]]])
    labels = torch.tensor([[[1.0, 0.0, 255.0]]])

    assert cloud_loss(logits, labels) < 0.05
    assert cloud_loss(-logits, labels) > 2


def test_prediction_has_the_size_of_the_picture() -> None:
    network = UNet(3, 1, width=4, depth=3).eval()
    chance = predict(network, np.zeros((37, 50, 3), np.uint8))

    assert chance.shape == (37, 50)
    assert 0 <= chance.min() <= chance.max() <= 1


def test_saved_weights_give_the_same_prediction(tmp_path: Path) -> None:
    network, _ = train(Recipe(steps=2, batch=2, width=4, depth=2), [], generate(2, seed=0))
    image = generate(1, seed=5)[0].image
    params = save(network, Recipe(steps=2, width=4, depth=2), tmp_path / "mine.pt")

    assert params.name == "params-mine.yaml"
    again = load(tmp_path / "mine.pt", width=4, depth=2)
    np.testing.assert_allclose(predict(again, image), predict(network, image), atol=5e-3)
