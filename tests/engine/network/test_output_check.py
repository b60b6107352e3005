"""Probabilities that are taken for logits are found before any mask is written."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cloudseg_ops.contracts.errors import ModelLoadError
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.output_check import check_outputs
from tests.support.lab import Lab, model_ref, noise, run, state_bytes, tiny_unet, unet_params
from tests.support.programs import Head, exported, exported_params, saved

IMAGES = [DecodedImage(noise(24, 16, seed=seed)) for seed in range(3)]


def check(returns: Callable[[torch.Tensor], torch.Tensor], n_classes: int = 1, **params: Any) -> None:
    weights = exported(Head(lambda scores, aux: returns(scores), n_classes=n_classes))
    given = exported_params(**{"n_classes": n_classes, **params})
    ref = model_ref(weights, given)
    check_outputs(ref, load_network(ref, weights, torch.device("cpu")), IMAGES)


def logits(scores: torch.Tensor) -> torch.Tensor:
    return scores


def probabilities(scores: torch.Tensor) -> torch.Tensor:
    return scores.sigmoid()


def test_outputs_that_are_what_the_parameters_say() -> None:
    check(logits)
    check(logits, output="logits")
    check(probabilities, output="probabilities")
    check(lambda scores: scores.argmax(1), n_classes=2, output="classes")
    # Clear sky everywhere, whichever way it is read.
    check(lambda scores: 0 * scores)


def test_probabilities_taken_for_logits() -> None:
    told = (
        r"it returns values from 0\.0\d* to (1|0\.9\d*) for the first photographs: these look like probabilities.*"
        r"everything cloud. Expected: `output: probabilities` in the model section, or `output: logits`"
    )
    with pytest.raises(ModelLoadError, match=told):
        check(probabilities)
    check(probabilities, output="logits")


def test_logits_taken_for_probabilities() -> None:
    with pytest.raises(ModelLoadError, match=r"values from -\d\S* to \d\S* .* within 0–1 for `output: probabilities`"):
        check(logits, output="probabilities")


def test_classes_that_do_not_exist() -> None:
    with pytest.raises(ModelLoadError, match="class indices below 2 for `output: classes`"):
        check(lambda scores: 2 * scores.argmax(1), n_classes=2, output="classes")


def test_probabilities_of_several_classes_give_the_same_masks(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check(lambda scores: scores.softmax(1), n_classes=2)
    assert "probably probabilities: the masks are the same" in caplog.text


class Mean(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1, keepdim=True)


def test_one_photograph_with_other_values_suffices() -> None:
    weights = exported(Mean())
    ref = model_ref(weights, exported_params())
    network = load_network(ref, weights, torch.device("cpu"))
    with pytest.raises(ModelLoadError, match="look like probabilities"):
        check_outputs(ref, network, IMAGES)
    check_outputs(ref, network, [*IMAGES, DecodedImage(np.full((16, 24, 3), -0.5, np.float32))])


def test_built_in_networks_are_not_checked() -> None:
    network = tiny_unet()
    weights = state_bytes(network)
    ref = model_ref(weights, unet_params())
    check_outputs(ref, load_network(ref, weights, torch.device("cpu")), IMAGES)


def test_a_chunk_ends_before_its_first_mask(lab: Lab) -> None:
    lab.use_model(exported(Head(lambda scores, aux: scores.sigmoid())), exported_params())
    sources = lab.put_many(3)
    lab.write_chunk(sources)
    with pytest.raises(ModelLoadError, match="output: probabilities"):
        run(lab)
    assert lab.results() == [] or {result.mask for result in lab.results()} == {None}
    assert lab.mask_info(sources[0].name) is None


def test_a_chunk_of_a_program_of_one_size(lab: Lab) -> None:
    lab.use_model(saved(Head(lambda scores, aux: {"out": scores}), torch.rand(2, 3, 16, 24)), exported_params(None))
    sources = lab.put_many(3)
    lab.write_chunk(sources)
    run(lab)
    assert lab.mask(sources[0].name).size == (40, 30)
    assert set(lab.outcomes().values()) == {"done"}
