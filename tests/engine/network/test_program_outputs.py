"""What exported programs return: each mask equals that of plain PyTorch."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cloudseg_ops.contracts.errors import ModelLoadError, NonFiniteLogitsError
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Classes
from cloudseg_ops.engine.network.loading import load_network
from cloudseg_ops.engine.network.predict import Predictor
from tests.support.lab import model_ref, noise
from tests.support.programs import Head, exported, exported_params

IMAGE = DecodedImage(noise(48, 32))
BATCH = torch.tensor(IMAGE.pixels).permute(2, 0, 1)[None] / 255
CPU = torch.device("cpu")
Returns = Callable[[torch.Tensor, torch.Tensor], Any]


def predictor(network: nn.Module, **params: Any) -> Predictor:
    weights = exported(network)
    ref = model_ref(weights, exported_params(**params))
    return Predictor(ref, load_network(ref, weights, CPU))


def mask(network: nn.Module, **params: Any) -> Classes:
    return predictor(network, **params).predict([IMAGE])[0].classes


def quarter(scores: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(scores, 4)


def enlarged(values: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(values, IMAGE.pixels.shape[:2], mode="bilinear", align_corners=False)


def expect(network: Head, found: Classes, rule: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Compare a mask with that of PyTorch alone, which must have cloud and clear sky."""
    with torch.inference_mode():
        wanted = rule(network.scores(BATCH))[0].numpy()
    assert np.array_equal(found, wanted)
    assert len(np.unique(wanted)) > 1


@pytest.mark.parametrize(
    ("returns", "params"),
    [
        (lambda scores, aux: {"aux": aux, "out": scores}, {}),
        (lambda scores, aux: {"hidden": (aux, None), "logits": scores}, {}),
        (lambda scores, aux: {"aux": aux, "masks": scores}, {"output_name": "masks"}),
        (lambda scores, aux: (scores, aux), {}),
        (lambda scores, aux: (aux, scores), {"output_index": 1}),
        (lambda scores, aux: [scores], {}),
        (lambda scores, aux: scores[:, 0], {}),
    ],
    ids=["out", "logits", "named", "first", "index", "list", "no channels"],
)
def test_the_output_is_found(returns: Returns, params: dict[str, Any]) -> None:
    network = Head(returns)
    expect(network, mask(network, **params), lambda scores: scores[:, 0] > 0)


def test_unused_outputs_are_logged_and_not_computed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cloudseg_ops")
    it = predictor(Head(lambda scores, aux: {"aux": aux, "out": scores}))
    assert "using ['out']; output_name or output_index" in caplog.text
    names = [str(node.target) for node in it.network.forward.graph.nodes]  # type: ignore[union-attr]
    assert "head.weight" in names
    assert "aux.weight" not in names


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"output_name": "mask"}, r"does not return an output mask, but \['out'\] of shape \(\?, 1, \?, \?\)"),
        ({"output_index": 2}, r"has no output 2, counted from 0, but \['out'\]"),
    ],
)
def test_an_output_that_does_not_exist(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        predictor(Head(lambda scores, aux: {"out": scores, "aux": aux}), **params)


def test_a_program_without_a_tensor() -> None:
    with pytest.raises(ModelLoadError, match="does not return a tensor"):
        predictor(Head(lambda scores, aux: None))


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_logits_and_probabilities_of_one_class_have_a_threshold(threshold: float) -> None:
    network = Head(lambda scores, aux: scores)
    expect(network, mask(network, threshold=threshold), lambda scores: scores.double().sigmoid()[:, 0] > threshold)
    network = Head(lambda scores, aux: scores.sigmoid())
    found = mask(network, threshold=threshold, output="probabilities")
    expect(network, found, lambda scores: scores.sigmoid()[:, 0] > threshold)


def test_probabilities_of_several_classes() -> None:
    network = Head(lambda scores, aux: scores.softmax(1), n_classes=3)
    found = mask(network, n_classes=3, classes=["sky", "cloud", "sun"], output="probabilities")
    expect(network, found, lambda scores: scores.argmax(1))


@pytest.mark.parametrize("n_classes", [1, 2])
@pytest.mark.parametrize("keep", [True, False])
def test_class_indices(n_classes: int, keep: bool) -> None:
    network = Head(lambda scores, aux: scores.argmax(1, keepdim=keep), n_classes=2)
    found = mask(network, n_classes=n_classes, output="classes")
    expect(network, found, lambda scores: scores.argmax(1))


def test_class_indices_without_being_said_so() -> None:
    with pytest.raises(ModelLoadError, match=r"type int64, which are class indices. Expected: set `output: classes`"):
        predictor(Head(lambda scores, aux: scores.argmax(1), n_classes=2))


def test_logits_at_a_quarter_of_the_size() -> None:
    network = Head(lambda scores, aux: quarter(scores), n_classes=2)
    expect(network, mask(network, n_classes=2), lambda scores: enlarged(quarter(scores)).argmax(1))
    network = Head(lambda scores, aux: quarter(scores).sigmoid())
    found = mask(network, output="probabilities", threshold=0.6)
    expect(network, found, lambda scores: enlarged(quarter(scores).sigmoid())[:, 0] > 0.6)


def test_classes_at_a_quarter_of_the_size_are_repeated() -> None:
    network = Head(lambda scores, aux: quarter(scores).argmax(1), n_classes=2)
    found = mask(network, n_classes=2, output="classes")
    expect(
        network,
        found,
        lambda scores: quarter(scores).argmax(1).repeat_interleave(4, dim=1).repeat_interleave(4, dim=2),
    )


@pytest.mark.parametrize("how", ["in_bf16", "with_bf16_convolutions"])
def test_lower_precision_reads_the_same_output(how: str) -> None:
    network = Head(lambda scores, aux: {"aux": aux, "out": quarter(scores).sigmoid()})
    exact = predictor(network, output="probabilities", threshold=0.6)
    coarse = Predictor(exact._ref, getattr(exact.network, how)())
    assert coarse.network.bf16
    assert (coarse.predict([IMAGE])[0].classes == exact.predict([IMAGE])[0].classes).mean() > 0.95


def test_another_scale_is_an_error_that_names_the_shapes() -> None:
    it = predictor(Head(lambda scores, aux: scores[..., 4:, 4:]))
    told = r"returned \(1, 1, 28, 44\) for 1 images of 32 × 48 pixels; .* should have shape \(1, 1, 32, 48\)"
    with pytest.raises(ModelLoadError, match=told):
        it.predict([IMAGE])


def test_the_program_says_how_many_classes_it_has() -> None:
    with pytest.raises(ModelLoadError, match=r"\(\?, 5, \?, \?\).* n_classes must be the 5 channels"):
        predictor(Head(lambda scores, aux: scores, n_classes=5), n_classes=2)
    with pytest.raises(ModelLoadError, match=r"images of shape \(\?, 3, \?, \?\).* in_channels must be the 3 channels"):
        predictor(Head(lambda scores, aux: scores), in_channels=1)


def test_values_that_are_not_what_the_parameters_say_make_no_mask() -> None:
    it = predictor(Head(lambda scores, aux: scores), output="probabilities")
    with pytest.raises(NonFiniteLogitsError, match="returned probabilities that are NaN or outside 0–1"):
        it.predict([IMAGE])
    it = predictor(Head(lambda scores, aux: 2 + scores.argmax(1), n_classes=2), n_classes=2, output="classes")
    with pytest.raises(NonFiniteLogitsError, match="not the index of one of 2 classes"):
        it.predict([IMAGE])
