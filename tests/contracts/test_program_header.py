"""What is read off an exported program without opening it, and which parameters that gives."""

import io
import json
import zipfile
from typing import Any

import pytest

from cloudseg_ops.contracts import program_header
from cloudseg_ops.contracts.errors import ModelLoadError, ModelParamsError, UnsafeProgramError, WeightsFileError
from cloudseg_ops.contracts.model_section import ModelSection, complete_params
from cloudseg_ops.contracts.program_header import program_shapes
from tests.support.archives import described_program
from tests.support.checkpoints import checkpoint

LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
ANY = None


def described(inputs: dict[str, Any], outputs: dict[str, Any], tree: Any = LEAF) -> dict[str, Any]:
    """A description like that in models/model.json: tensors by name, each with its shape."""
    values = {
        name: {
            "sizes": [
                {"as_expr": {"expr_str": "Symbol('s0')", "hint": {"as_int": 2}}} if side is ANY else {"as_int": side}
                for side in shape
            ]
        }
        for name, shape in {**inputs, **outputs}.items()
    }
    return {
        "graph_module": {
            "graph": {"tensor_values": values},
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_weight"}, "parameter_name": "weight"}},
                    *({"user_input": {"arg": {"as_tensor": {"name": name}}}} for name in inputs),
                ],
                "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": name}}}} for name in outputs],
            },
            "module_call_graph": [{"fqn": "", "signature": {"out_spec": json.dumps([1, tree])}}],
        }
    }


def program(description: object, name: str = "models/model.json") -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        text = description if isinstance(description, str) else json.dumps(description)
        made.writestr(f"archive/{name}", text)
        if name.startswith("models/"):
            made.writestr("archive/archive_format", "pt2")
    return stream


IMAGES = {"images": (ANY, 3, ANY, ANY)}
PLAIN = described(IMAGES, {"logits": (ANY, 2, ANY, ANY)})
DICTIONARY = {"type": "builtins.dict", "context": '["out"]', "children_spec": [LEAF]}


def test_shapes_of_inputs_and_outputs() -> None:
    found = program_shapes(program(described({"x": (1, 4, 512, 640)}, {"a": (1, 5, 128, 160), "b": (1, 5)})))
    assert found.inputs == ((1, 4, 512, 640),)
    assert found.outputs == ((1, 5, 128, 160), (1, 5))
    assert (found.in_channels, found.n_classes) == (4, 5)
    plain = program_shapes(program(PLAIN))
    assert (plain.in_channels, plain.n_classes) == (3, 2)


@pytest.mark.parametrize(
    ("keys", "n_classes"), [(["aux", "out"], 2), (["logits", "aux"], 1), (["a", "b"], 1), (["a"], 1), ([["a"], "b"], 1)]
)
def test_of_several_outputs_the_engines_choice_counts(keys: list[Any], n_classes: int) -> None:
    tree = {"type": "builtins.dict", "context": json.dumps(keys), "children_spec": [LEAF] * len(keys)}
    outputs = {"first": (ANY, 1, ANY, ANY), "second": (ANY, 2, ANY, ANY)}
    found = program_shapes(program(described(IMAGES, outputs, tree)))
    assert found.n_classes == n_classes


@pytest.mark.parametrize(
    "description",
    [
        "", "[]", "{}", "not JSON", "null", "[" * 5000, '{"graph_module": 3}', "9" * 5000,
        json.dumps(PLAIN).replace('"sizes"', '"size"'), json.dumps(PLAIN).replace('"images"', '"other"', 1),
        json.dumps(PLAIN).replace('"fqn": ""', '"fqn": "part"'), json.dumps(PLAIN).replace("[1, ", "[", 1),
    ],
)  # fmt: skip
def test_another_description_is_a_value_error(description: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (JSON's own errors, too; the caller takes all alike)
        program_shapes(program(description))


def test_a_large_description_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_header, "MAX_JSON_BYTES", 1000)
    with pytest.raises(ValueError, match=r"its models/model.json has \d+ bytes, more than the 1000"):
        program_shapes(program("{}" + " " * 10_000))


def complete(description: object, **section: Any) -> Any:
    program = io.BytesIO(described_program(description))
    return complete_params(ModelSection(section, "params.yaml"), program, "'model.pt2' at v1")


def test_parameters_of_a_program_are_read_off_it() -> None:
    found = complete(PLAIN)
    assert (found.params.architecture, found.params.in_channels, found.params.n_classes) == ("exported", 3, 2)
    assert {found.origins[name] for name in ("architecture", "in_channels", "n_classes")} == {"the weights"}
    assert next(found.log_lines()) == "read off the weights: architecture exported, in_channels 3, n_classes 2"
    stated = complete(PLAIN, architecture="exported", in_channels=3, n_classes=2)
    assert stated.params == found.params
    assert list(stated.log_lines()) == []


@pytest.mark.parametrize(
    ("description", "section", "told"),
    [
        (PLAIN, {"in_channels": 1}, r"'model.pt2' at v1 takes images of shape \(\?, 3, \?, \?\), but .* says in_c"),
        (PLAIN, {"n_classes": 1}, r"returns a tensor of shape \(\?, 2, \?, \?\), but .* says n_classes 1: correct it"),
    ],
)  # fmt: skip
def test_a_stated_value_that_contradicts_the_program(description: object, section: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelLoadError, match=told):
        complete(description, **section)


@pytest.mark.parametrize(
    ("description", "missing"),
    [
        (described(IMAGES, {"classes": (ANY, ANY, ANY)}), "n_classes, which cannot be read off 'model.pt2'"),
        (described(IMAGES, {}), "n_classes"),
        (described({"x": (ANY, ANY, ANY, 3)}, {"y": (ANY, 2, ANY, ANY)}), "in_channels"),
        (described({"x": (ANY, 200, ANY, 3)}, {"y": (ANY, 600, ANY, 2)}), "in_channels and n_classes"),
    ],
)  # fmt: skip
def test_what_a_program_does_not_say_must_be_stated(description: object, missing: str) -> None:
    with pytest.raises(ModelParamsError, match=f"params.yaml: the `model` section must state {missing}"):
        complete(description)


def test_a_program_and_a_built_in_architecture() -> None:
    with pytest.raises(WeightsFileError, match=r"or set `architecture: exported` in params.yaml"):
        complete(PLAIN, architecture="unet")
    with pytest.raises(WeightsFileError, match=r"or set `architecture` in params.yaml to unet"):
        complete_params(ModelSection({"architecture": "exported"}, "it"), io.BytesIO(checkpoint()), "it")


def test_a_program_in_another_format_is_refused_before_values_are_asked_for() -> None:
    legacy = program("{}", "serialized_exported_program.json")
    with pytest.raises(UnsafeProgramError, match=r"it is .*export"):
        complete_params(ModelSection({}, "params.yaml"), legacy, "it")


def test_what_is_stated_is_enough() -> None:
    assert complete("{}", in_channels=3, n_classes=2).params.architecture == "exported"
    assert complete(described(IMAGES, {"classes": (ANY, ANY, ANY)}), n_classes=2).params.in_channels == 3
    assert complete(described(IMAGES, {"out": (ANY, 2, ANY, ANY)}, DICTIONARY)).params.n_classes == 2
