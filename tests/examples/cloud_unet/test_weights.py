"""The committed weights, on generated scenes whose seeds are not used for training."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml
from baseline import fit_limit, red_blue_ratio
from data import Example, generate
from loop import predict
from metrics import Counts, Figures
from train import SCENES_FROM

from cloudseg_ops.engine.network.networks import UNet

WEIGHTS = Path(__file__).parents[3] / "examples" / "cloud_unet" / "weights"
COUNT = 24


@cache
def scenes() -> list[Example]:
    assert COUNT <= SCENES_FROM
    return generate(COUNT, seed=0)


@cache
def network(revision: str) -> UNet:
    model = yaml.safe_load((WEIGHTS / f"params-{revision}.yaml").read_text())["model"]
    unet = UNet(model["in_channels"], model["n_classes"], **model["arguments"])
    unet.load_state_dict(torch.load(WEIGHTS / f"{revision}.pt", weights_only=True))
    return unet.eval()


@cache
def found(revision: str) -> list[npt.NDArray[np.bool_]]:
    return [predict(network(revision), scene.image) >= 0.5 for scene in scenes()]


def figures(masks: list[npt.NDArray[np.bool_]]) -> Figures:
    return Figures.of([Counts.of(mask, scene.label) for mask, scene in zip(masks, scenes(), strict=True)])


@pytest.mark.parametrize("revision", ["v1", "v2"])
def test_params_and_weights_match_and_are_small(revision: str) -> None:
    model = yaml.safe_load((WEIGHTS / f"params-{revision}.yaml").read_text())["model"]

    assert model["architecture"] == "unet"
    assert model["n_classes"] == 1
    assert model["classes"] == ["clear sky", "cloud"]
    assert len(model["normalize"]["mean"]) == len(model["normalize"]["std"]) == model["in_channels"]
    assert sum(parameter.numel() for parameter in network(revision).parameters()) < 2_000_000
    assert (WEIGHTS / f"{revision}.pt").stat().st_size < 3_000_000


@pytest.mark.slow
def test_full_training_beats_a_color_threshold_fitted_to_the_scenes() -> None:
    limit = fit_limit(scenes())
    by_color = figures([red_blue_ratio(scene.image) >= limit for scene in scenes()])

    assert figures(found("v2")).pooled_iou > by_color.pooled_iou + 0.1


@pytest.mark.slow
def test_full_training_finds_clouds_in_unseen_scenes() -> None:
    reached = figures(found("v2"))

    assert reached.pooled_iou > 0.77
    assert reached.accuracy > 0.9


@pytest.mark.slow
def test_second_revision_differs_visibly_and_is_better() -> None:
    differing = np.mean([(one != two).mean() for one, two in zip(found("v1"), found("v2"), strict=True)])

    assert differing > 0.01
    assert figures(found("v2")).pooled_iou > figures(found("v1")).pooled_iou
