"""Reads the shapes of an exported program's inputs and outputs, without PyTorch and without executing any of it.

`torch.export.save` writes a zip archive in which models/model.json describes the program's graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.zip_members import read_member

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Maximum size of model.json; that of a ResNet-34 U-Net takes less than 1 MB."""
_MODEL = "models/model.json"
_PREFERRED = ("out", "logits")
"""Keys of the outputs of torchvision's and transformers' networks."""

Shape = tuple[int | None, ...]
"""The sides of a tensor; None: the side may vary."""


@dataclass(frozen=True, slots=True)
class ProgramShapes:
    """The tensors that a program takes and returns.

    Attributes:
        inputs: Shapes of the tensors that it is called with, in order.
        outputs: Shapes of the tensors that it returns, in order.
        output_names: Their keys, if it returns a dictionary of tensors; otherwise empty.
    """

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    output_names: tuple[str, ...] = ()

    @property
    def in_channels(self) -> int | None:
        """The channels of its images; None if it does not take a single tensor (N, channels, H, W)."""
        return _channels(self.inputs[0]) if len(self.inputs) == 1 else None

    @property
    def output(self) -> Shape:
        """The shape of the tensor that the engine uses unless params.yaml names another; empty if there is none."""
        named = dict(zip(self.output_names, self.outputs, strict=False))
        preferred = [named[name] for name in _PREFERRED if name in named]
        return [*preferred, *self.outputs, ()][0]

    @property
    def n_classes(self) -> int | None:
        """The channels of that output; None if it is not a tensor (N, channels, H, W)."""
        return _channels(self.output)


def program_shapes(file: BinaryIO) -> ProgramShapes:
    """Return the shapes of the inputs and outputs of an exported program.

    Args:
        file: The file that `torch.export.save` wrote, seekable.

    Raises:
        ValueError: The file does not describe them in the format of PyTorch 2.8 and later.
    """
    document = load_json(read_member(file, _MODEL, MAX_JSON_BYTES))
    try:
        module = document["graph_module"]
        tensors = module["graph"]["tensor_values"]
        signature = module["signature"]
        inputs = [entry["user_input"]["arg"] for entry in signature["input_specs"] if "user_input" in entry]
        outputs = [entry["user_output"]["arg"] for entry in signature["output_specs"] if "user_output" in entry]
        names = _output_names(module["module_call_graph"])
        found = ProgramShapes(_shapes(inputs, tensors), _shapes(outputs, tensors), names)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"its {_MODEL} does not say what it takes and returns ({type(error).__name__}: {error})"
        ) from None
    return found


def describe(shape: Shape) -> str:
    """Return a shape for messages; sides that may vary are question marks."""
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _channels(shape: Shape) -> int | None:
    return shape[1] if len(shape) == 4 else None


def _shapes(arguments: Iterable[Mapping[str, Any]], tensors: Mapping[str, Any]) -> tuple[Shape, ...]:
    names = [argument["as_tensor"]["name"] for argument in arguments if "as_tensor" in argument]
    return tuple(tuple(_side(side) for side in tensors[name]["sizes"]) for name in names)


def _side(size: Mapping[str, Any]) -> int | None:
    side = size.get("as_int")
    return side if type(side) is int else None


def _output_names(calls: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys of a dictionary of outputs, from the tree of the outputs: a JSON text in the JSON."""
    whole = next((call for call in calls if call["fqn"] == ""), {})
    _, tree = load_json(whole["signature"]["out_spec"])
    if tree["type"] != "builtins.dict":
        return ()
    names, inner = load_json(tree["context"]), tree["children_spec"]
    is_flat = len(names) == len(inner) and all(child["type"] is None for child in inner)
    return tuple(map(str, names)) if is_flat else ()
