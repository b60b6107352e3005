"""The `model` section: what it may leave out, what it may hold besides, and what is an error."""

import io
from dataclasses import replace
from typing import Any

import pytest

from cloudseg_ops.contracts import architectures
from cloudseg_ops.contracts.architectures import ARCHITECTURES
from cloudseg_ops.contracts.errors import ModelLoadError, ModelParamsError, WeightsFileError
from cloudseg_ops.contracts.model_ref import ModelParams, model_digest
from cloudseg_ops.contracts.model_section import CompletedParams, ModelSection, complete_params, parse_section
from cloudseg_ops.contracts.weights_errors import describe_values
from tests.support.checkpoints import ORDERED_DICT, TINY, UNET_RULE, archive, checkpoint, state_dict, text

MD5 = "0" * 32
TRAINING = (
    "lr", "learning_rate", "epochs", "max_epochs", "n_epochs", "batch_size", "optimizer", "loss", "seed", "dropout",
    "weight_decay", "momentum", "scheduler", "num_workers", "encoder", "encoder_name", "encoder_weights", "pretrained",
    "backbone", "img_size", "image_size", "crop_size", "patience", "precision", "device", "augment", "train_split",
    "val_split", "betas", "name", "version", "date", "author", "dataset", "out_channels", "filters", "width", "depth",
)  # fmt: skip


def complete(section: str, data: bytes = checkpoint()) -> CompletedParams:
    return complete_params(parse_section(section, "params.yaml at v1"), io.BytesIO(data), "'model.pt' at v1")


def made(**values: int) -> bytes:
    values = {"in_channels": 3, "n_classes": 1, "width": 2, "depth": 1} | values
    return checkpoint(UNET_RULE.shapes(values.pop("in_channels"), values.pop("n_classes"), values))


@pytest.mark.parametrize("section", ["model: {}", "model:", "model: {n_classes: 1, in_channels: 3}"])
def test_what_is_not_stated_is_read_off_the_weights(section: str) -> None:
    found = complete(section)
    assert found.params == ModelParams(
        architecture="unet", in_channels=3, n_classes=1, arguments={"width": 2, "depth": 1}
    )
    assert found.origins["architecture"] == found.origins["arguments"] == "the weights"
    assert found.origins["in_channels"] == ("params.yaml at v1" if "in_channels" in section else "the weights")
    assert found.origins["max_side"] == "the default"
    (line,) = found.log_lines()
    assert line.startswith("read off the weights: architecture unet, ")
    assert line.endswith("arguments {'width': 2, 'depth': 1}")


def test_a_complete_section_is_taken_as_it_is() -> None:
    section = "model: {architecture: unet, in_channels: 3, n_classes: 1, arguments: {width: 2, depth: 1}}"
    found = complete(section)
    assert set(found.origins.values()) == {"params.yaml at v1", "the default"}
    assert list(found.log_lines()) == []


def test_arguments_that_are_the_defaults_stay_out_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    # Masks by an earlier version, which could not read arguments off the weights, stay valid.
    monkeypatch.setattr(architectures, "_UNET_WIDTH", 3)
    monkeypatch.setattr(architectures, "_UNET_DEPTH", 1)
    assert complete("model: {in_channels: 3, n_classes: 1}", made(width=3, depth=1)).params.arguments == {}
    found = complete("model: {arguments: {width: 4}}", made(width=4, depth=1))
    assert found.params.arguments == {"width": 4}
    assert found.origins["arguments"] == "params.yaml at v1"


def test_arguments_that_are_partly_stated_are_completed() -> None:
    found = complete("model: {arguments: {depth: 2}}", made(depth=2, width=6))
    assert found.params.arguments == {"width": 6, "depth": 2}
    assert found.origins["arguments"] == "params.yaml at v1 and the weights"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("model: {in_channels: 1}", r"\(architecture unet, in_channels 1, n_classes 1, .*\(2, 3, 3, 3\) instead of "
         r"\(2, 1, 3, 3\)\); the file fits in_channels 3"),
        ("model: {n_classes: 2}", r"head.weight is \(1, 2, 1, 1\) instead of .* file fits in_channels 3, n_classes 1"),
        ("model: {arguments: {width: 8}}", r"arguments \{'width': 8, 'depth': 1\}.* fits .* \{width: 2, depth: 1\}"),
        ("model: {arguments: {girth: 8}}", r"arguments girth are unknown.*may name width and depth"),
        ("model: {architecture: exported}", r"architecture exported needs an exported program.*or set `architecture`"),
    ],
)  # fmt: skip
def test_a_stated_value_that_contradicts_the_weights_is_an_error_that_names_both(section: str, told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        complete(section)


def test_weights_of_many_classes_need_their_names() -> None:
    with pytest.raises(ModelParamsError, match=r"with what the weights say: .* classes has 2 names, not 3"):
        complete("model: {}", made(n_classes=3))
    assert complete("model: {classes: [clear sky, cloud, sun]}", made(n_classes=3)).params.n_classes == 3


def test_training_parameters_are_named_and_ignored() -> None:
    section = "model: {n_classes: 1, lr: 0.1, optimizer: {name: adam}, 7: x}"
    found = complete(section)
    assert found.ignored == ("lr", "optimizer", "7")
    assert next(found.log_lines()) == (
        "ignored keys of the `model` section, which are not parameters of a model: lr, optimizer, 7"
    )
    assert model_digest(MD5, found.params) == model_digest(MD5, complete("model: {n_classes: 1}").params)


@pytest.mark.parametrize("name", TRAINING)
def test_no_training_parameter_is_taken_for_a_misspelling(name: str) -> None:
    assert parse_section(f"model: {{{name}: 1}}", "it").ignored == (name,)


@pytest.mark.parametrize(
    ("key", "meant"),
    {
        "n_class": "n_classes", "num_classes": "n_classes", "nClasses": "n_classes", "in_chanels": "in_channels",
        "in-channels": "in_channels", "input_channels": "in_channels", "normalise": "normalize",
        "architectures": "architecture", "max_size": "max_side", "argument": "arguments", "class": "classes",
        "weight_key": "weights_key",
    }.items(),
)  # fmt: skip
def test_a_misspelled_key_is_an_error_before_the_weights_are_read(key: str, meant: str) -> None:
    with pytest.raises(ModelParamsError, match=f"^params: .* unknown key `{key}`; did you mean `{meant}`?"):
        parse_section(f"model: {{{key}: 1}}", "params")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("model: {in_channels: three}", r"not valid: in_channels: [^;]*\. See"),
        ("model: {architecture: vgg, lr: 1}", r"architecture: [^;]*Input should be one of exported, unet\. See"),
        ("model: {normalize: {mean: [0.5]}}", r"normalize\.std: Field required\. See"),
        ("model: {normalize: {mean: [0.5], std: [0.5], lr: 1}}", r"normalize\.lr: Extra inputs"),
        ("model: {arguments: {width: 0}}", r"arguments\.width: "),
        ("model: {architecture: unet, in_channels: 3, n_classes: 4}", r"classes has 2 names, not 4"),
        ("model: [lr]", r"it is a list, not keys"),
        ("train: {}", r"there is no `model` section, only \['train'\]; add one. `model: \{\}` is enough"),
    ],
)  # fmt: skip
def test_what_needs_no_weights_is_checked_without_them(section: str, told: str) -> None:
    with pytest.raises(ModelParamsError, match=told):
        parse_section(section, "params.yaml")


def test_a_section_from_elsewhere_is_checked_too() -> None:
    values: dict[str, Any] = {"n_class": 1}
    with pytest.raises(ModelParamsError, match="did you mean `n_classes`"):
        complete_params(ModelSection(values, "the artifact"), io.BytesIO(checkpoint()), "it")


def test_weights_of_no_kind_and_no_architecture() -> None:
    with pytest.raises(
        WeightsFileError,
        match=r"it is an ONNX model. cloudseg needs an exported program, .*, or a state dict of .* unet:",
    ):
        complete_params(ModelSection({}, "it"), io.BytesIO(b"\x08\x08\x12\x07pytorch\x1a"), "it")
    told = r"fit any architecture .* \(unet\)\. The nearest is unet: it lacks .* has 1 unknown \(conv.weight\)\. Export"
    with pytest.raises(ModelLoadError, match=told):
        complete("model: {}", checkpoint({"conv.weight": (2, 2)}))
    with pytest.raises(ModelLoadError, match=r"it has no state dict; its entries are epoch\. Expected: a state dict"):
        complete("model: {}", archive(ORDERED_DICT + b"(" + text("epoch") + b"K\x01u"))


def test_of_several_state_dicts_the_stated_values_choose() -> None:
    wide = UNET_RULE.shapes(3, 1, {"width": 3, "depth": 1})
    both = archive(ORDERED_DICT + b"(" + text("teacher") + state_dict(wide) + text("student") + state_dict(TINY) + b"u")
    with pytest.raises(ModelLoadError, match=r"has 2 state dicts that fit: the entry 'teacher'; the entry 'student'"):
        complete("model: {}", both)
    with pytest.raises(WeightsFileError, match=r"lacks values of stem\.0\.weight"):
        # It was chosen; only its values are not in the file.
        complete("model: {arguments: {width: 2}}", both)


def test_values_are_described_as_in_params_yaml() -> None:
    values = {"in_channels": 3, "n_classes": 2, "width": 4}
    assert describe_values(values) == "in_channels 3, n_classes 2, arguments {width: 4}"


def test_an_architecture_without_a_rule_needs_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    unet = ARCHITECTURES["unet"]
    monkeypatch.setitem(ARCHITECTURES, "other", replace(unet, state_dict=None))
    with pytest.raises(
        ModelParamsError, match=r"must state in_channels and n_classes, which cannot be read off 'model"
    ):
        complete("model: {architecture: other}")
    assert complete("model: {architecture: other, in_channels: 1, n_classes: 1}").params.in_channels == 1


def test_weights_that_fit_two_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "twin", ARCHITECTURES["unet"])
    with pytest.raises(
        ModelLoadError, match=r"fits the architectures unet and twin: set `architecture` in the `model`"
    ):
        complete("model: {}")
    assert complete("model: {architecture: twin}").params.architecture == "twin"


def test_names_from_files_are_shown_on_one_line() -> None:
    section = ModelSection({"lr" + chr(10) + "INFO forged": 1, "x" * 300: 2}, "it")
    (line, _) = complete_params(section, io.BytesIO(checkpoint()), "it").log_lines()
    assert line.endswith(": lr" + chr(92) + "nINFO forged, " + "x" * 100 + "…")
