import json
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ManifestError, ModelParamsError
from cloudseg_ops.contracts.model_ref import ModelParams, ModelRef, model_digest

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SMALLEST: dict[str, Any] = {"architecture": "unet", "in_channels": 3, "n_classes": 1}
FULL: dict[str, Any] = {
    "architecture": "unet",
    "in_channels": 3,
    "n_classes": 3,
    "arguments": {"width": 16, "depth": 4},
    "classes": ["clear sky", "cloud", "sun"],
    "normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "max_side": 1024,
    "size_multiple": 16,
}


def _parse(**changes: Any) -> ModelParams:
    return ModelParams.parse({**FULL, **changes}, "params.yaml at v1")


def _ref(params: ModelParams) -> ModelRef:
    return ModelRef(
        revision="v1",
        commit="0123456789abcdef0123456789abcdef01234567",
        repository="https://git.example.org/models.git",
        md5=MD5,
        uri=f"gs://staging/models/{MD5}/weights.pt",
        digest=model_digest(MD5, params),
        params=params,
    )


def test_minimal_section_and_its_defaults() -> None:
    params = ModelParams.parse(SMALLEST, "here")
    assert params.classes == ("clear sky", "cloud")
    assert params.normalize is None
    assert params.max_side is None
    assert params.arguments == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": "vit"}, "architecture"),
        ({"architecture": None}, "architecture"),
        ({"in_channels": 0}, "in_channels"),
        ({"in_channels": 65}, "in_channels"),
        ({"in_channels": 4}, "must have 4 values each"),
        ({"n_classes": 0}, "n_classes"),
        ({"n_classes": 257}, "n_classes"),
        ({"n_classes": "many"}, "n_classes"),
        ({"arguments": {"width": 0}}, "arguments.width"),
        ({"arguments": {"width": 1.5}}, "arguments.width"),
        ({"arguments": [16]}, "arguments"),
        ({"classes": ["clear sky", "cloud"]}, "classes has 2 names, not 3"),
        ({"classes": []}, "classes has 0 names"),
        ({"normalize": {"mean": [0.5], "std": [0.5]}}, "must have 3 values each"),
        ({"normalize": {"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]}}, "normalize.std.2"),
        ({"normalize": {"mean": [0.5] * 3, "std": [0.5, 0.5, -1]}}, "normalize.std.2"),
        ({"normalize": {"mean": [0.5] * 3}}, "normalize.std"),
        ({"max_side": 15}, "max_side"),
        ({"size_multiple": 0}, "size_multiple"),
        ({"learning_rate": 1e-3}, "learning_rate"),
    ],
)
def test_invalid_section_is_rejected_with_key_and_file(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelParamsError) as raised:
        _parse(**changes)
    assert named in str(raised.value)
    assert str(raised.value).startswith("params.yaml at v1: ")


@pytest.mark.parametrize("section", [None, [], "unet", 7])
def test_section_that_is_not_a_mapping_is_rejected(section: object) -> None:
    with pytest.raises(ModelParamsError, match="the section"):
        ModelParams.parse(section, "params.yaml")


@pytest.mark.parametrize("missing", ["architecture", "in_channels", "n_classes"])
def test_missing_key_is_named(missing: str) -> None:
    with pytest.raises(ModelParamsError, match=f"{missing}: "):
        ModelParams.parse({key: value for key, value in SMALLEST.items() if key != missing}, "params.yaml")


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(ModelParamsError) as raised:
        _parse(in_channels=0, n_classes=0, max_side=1)
    assert all(name in str(raised.value) for name in ("in_channels", "n_classes", "max_side"))


@pytest.mark.parametrize(
    "changes",
    [
        {"in_channels": 1, "normalize": None},
        {"n_classes": 2, "classes": ["clear sky", "cloud"]},
        {"arguments": {"width": 16, "depth": 5}},
        {"arguments": {"width": 16}},
        {"classes": ["clear sky", "cloud", "moon"]},
        {"normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.2250001]}},
        {"normalize": {"mean": [0.456, 0.485, 0.406], "std": [0.229, 0.224, 0.225]}},
        {"normalize": None},
        {"max_side": 1025},
        {"max_side": None},
        {"size_multiple": 32},
        {"architecture": "exported"},
    ],
    ids=str,
)
def test_changed_parameter_changes_the_digest(changes: dict[str, Any]) -> None:
    assert model_digest(MD5, _parse(**changes)) != model_digest(MD5, _parse())


def test_changed_weights_change_the_digest() -> None:
    assert model_digest("0" * 32, _parse()) != model_digest(MD5, _parse())


def test_key_order_and_explicit_defaults_keep_the_digest() -> None:
    backwards = {key: FULL[key] for key in reversed(FULL)} | {"arguments": {"depth": 4, "width": 16}}
    assert model_digest(MD5, ModelParams.parse(backwards, "x")) == model_digest(MD5, _parse())
    spelt_out = {**SMALLEST, "classes": ["clear sky", "cloud"], "arguments": {}, "normalize": None, "max_side": None}
    assert model_digest(MD5, ModelParams.parse(spelt_out, "x")) == model_digest(MD5, ModelParams.parse(SMALLEST, "x"))


def test_digests_of_models_are_stable() -> None:
    # With another digest for the same model, existing masks would prove nothing: all inputs would be segmented again.
    assert model_digest(MD5, ModelParams.parse(SMALLEST, "x")) == "c48433fe256c988fca39644f6db2375e"
    assert model_digest(MD5, _parse()) == "9c86eb5c89aab817cc6a01327c2fadb5"


def test_model_reference_round_trip() -> None:
    ref = _ref(_parse())
    assert ModelRef.from_json(json.loads(json.dumps(ref.to_json()))) == ref
    assert model_digest(MD5, ModelRef.from_json(ref.to_json()).params) == ref.digest


@pytest.mark.parametrize(
    "fields", [None, [], "v1", {}, {**_ref(ModelParams.parse(SMALLEST, "x")).to_json(), "params": {}},
               {**_ref(ModelParams.parse(SMALLEST, "x")).to_json(), "color": "red"}]
)  # fmt: skip
def test_invalid_reference_names_the_task_that_writes_it(fields: object) -> None:
    with pytest.raises(ManifestError, match=r"gs://staging/model\.json is not a model reference .*clear `pull_model`"):
        ModelRef.from_json(fields, "gs://staging/model.json")


EXPORTED: dict[str, Any] = {
    "architecture": "exported",
    "in_channels": 1,
    "n_classes": 2,
    "classes": ["clear sky", "cloud"],
    "size_multiple": 32,
}


@pytest.mark.parametrize(
    ("section", "digest"),
    [
        (SMALLEST, "c48433fe256c988fca39644f6db2375e"),
        (FULL, "9c86eb5c89aab817cc6a01327c2fadb5"),
        (EXPORTED, "627e5da8d12995bba2140f847a12b797"),
    ],
)
def test_recorded_digests_are_stable(section: dict[str, Any], digest: str) -> None:
    """Masks in buckets have these digests: another digest would recreate every mask."""
    assert model_digest(MD5, ModelParams.parse(section, "here")) == digest


def test_new_parameter_changes_the_digest_only_if_not_default() -> None:
    class Later(ModelParams):
        gain: float = 0.5

    before = model_digest(MD5, ModelParams.parse(SMALLEST, "here"))
    assert model_digest(MD5, Later.model_validate(SMALLEST)) == before
    assert model_digest(MD5, Later.model_validate({**SMALLEST, "gain": 0.5})) == before
    assert model_digest(MD5, Later.model_validate({**SMALLEST, "gain": 0.4})) != before
