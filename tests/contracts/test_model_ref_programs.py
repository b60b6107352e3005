"""Parameters that say what an exported program takes and returns."""

import json
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ModelParamsError
from cloudseg_ops.contracts.model_ref import ModelParams, model_digest

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PROGRAM: dict[str, Any] = {"architecture": "exported", "in_channels": 3, "n_classes": 1}
UNET: dict[str, Any] = {**PROGRAM, "architecture": "unet"}
THREE = ["sky", "cloud", "sun"]


def parse(section: dict[str, Any], **changes: Any) -> ModelParams:
    return ModelParams.parse({**section, **changes}, "params.yaml at v1")


@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        (PROGRAM, {"output": "sigmoid"}, "output: Input should be 'logits', 'probabilities' or 'classes'"),
        (PROGRAM, {"threshold": 0}, "threshold: Input should be greater than 0"),
        (PROGRAM, {"threshold": 1.0}, "threshold: Input should be less than 1"),
        (PROGRAM, {"threshold": 0.4, "n_classes": 3, "classes": THREE}, "remove it, or n_classes 3"),
        (PROGRAM, {"threshold": 0.4, "output": "classes"}, "remove it, or `output: classes`"),
        (PROGRAM, {"input_size": 0}, "input_size"),
        (PROGRAM, {"input_size": [512]}, "input_size"),
        (PROGRAM, {"input_size": [512, 512, 3]}, "input_size"),
        (PROGRAM, {"input_size": "512"}, "input_size"),
        (PROGRAM, {"input_size": 512, "max_side": 512}, "max_side and input_size both scale photographs"),
        (PROGRAM, {"fit": "crop"}, "fit: Input should be 'resize' or 'tile'"),
        (PROGRAM, {"channel_order": "rbg"}, "channel_order"),
        (PROGRAM, {"channel_order": "bgr", "in_channels": 1}, "bgr needs in_channels 3, not 1"),
        (PROGRAM, {"scale": 0}, "scale: Input should be greater than 0"),
        (PROGRAM, {"scale": float("inf")}, "scale"),
        (PROGRAM, {"output_name": ""}, "output_name"),
        (PROGRAM, {"output_index": -1}, "output_index"),
        (PROGRAM, {"output_name": "out", "output_index": 0}, "give only one of them"),
        (UNET, {"output": "probabilities"}, "the architecture unet returns logits; probabilities need an exported"),
        (UNET, {"output_index": 0}, "the architecture unet has one output"),
        (UNET, {"fit": "tile"}, "fit needs an input_size"),
    ],
    ids=str,
)
def test_values_that_make_no_sense(section: dict[str, Any], changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelParamsError) as raised:
        parse(section, **changes)
    assert told in str(raised.value)
    assert str(raised.value).startswith("params.yaml at v1: ")


def test_contradictions_are_all_told_at_once() -> None:
    with pytest.raises(ModelParamsError, match=r"fit needs an input_size; channel_order: bgr needs in_channels 3"):
        parse(UNET, in_channels=1, fit="tile", channel_order="bgr")


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "probabilities"},
        {"output": "classes"},
        {"threshold": 0.4},
        {"input_size": 512},
        {"input_size": [512, 768]},
        {"fit": "tile"},
        {"channel_order": "bgr"},
        {"scale": 4095},
        {"in_channels": 4},
        {"output_name": "out"},
        {"output_index": 0},
    ],
    ids=str,
)
def test_each_changes_the_digest(changes: dict[str, Any]) -> None:
    params = parse(PROGRAM, **changes)
    assert model_digest(MD5, params) != model_digest(MD5, parse(PROGRAM))
    again = ModelParams.model_validate(json.loads(json.dumps(params.model_dump(mode="json"))))
    assert (again, model_digest(MD5, again)) == (params, model_digest(MD5, params))


def test_defaults_and_other_spellings_do_not() -> None:
    spelt_out = {"output": "logits", "threshold": 0.5, "input_size": None, "fit": None, "channel_order": "rgb"}
    assert model_digest(MD5, parse(PROGRAM, **spelt_out)) == model_digest(MD5, parse(PROGRAM))
    assert model_digest(MD5, parse(PROGRAM, input_size=512)) == model_digest(MD5, parse(PROGRAM, input_size=[512, 512]))
    assert model_digest(MD5, parse(PROGRAM, scale=4095)) == model_digest(MD5, parse(PROGRAM, scale=4095.0))


def test_what_photographs_are_resized_to() -> None:
    assert parse(PROGRAM).resized_to is None
    assert parse(PROGRAM, input_size=[480, 640]).resized_to == (480, 640)
    assert parse(UNET, input_size=512, fit="resize").resized_to == (512, 512)
    assert parse(PROGRAM, input_size=512, fit="tile", max_side=2048).resized_to is None


def test_engines_of_earlier_versions_read_what_they_know() -> None:
    first = {"architecture", "in_channels", "n_classes", "arguments", "classes", "normalize", "max_side"}
    first |= {"size_multiple"}
    assert set(parse(PROGRAM).to_json()) == first
    assert set(parse(PROGRAM, fit="tile", output="logits").to_json()) == {*first, "fit", "output"}
