"""Reads the inputs and outputs of an exported program, and keeps only the output that is used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import keystr, tree_flatten_with_path, tree_structure, tree_unflatten

from cloudseg_ops.contracts.model_ref import ModelParams

_PREFERRED = ("out", "logits")
"""Keys of the outputs of torchvision's and transformers' networks."""

_log = logging.getLogger(__name__)

Dim = int | torch.SymInt


@dataclass(frozen=True, slots=True)
class ProgramTensor:
    """An input or an output of a program.

    Attributes:
        name: Its name; for an output, its place in what the program returns, such as `['out']` or `[0]`.
        shape: Its dimensions as exported; those that may vary are symbols.
        dtype: Its type.
    """

    name: str
    shape: Sequence[Dim]
    dtype: torch.dtype

    def __str__(self) -> str:
        """Return its name, shape and type, with `?` for dimensions that may vary."""
        sizes = ", ".join(str(size) if isinstance(size, int) else "?" for size in self.shape)
        return f"{self.name or 'a tensor'} of shape ({sizes}) and type {str(self.dtype).removeprefix('torch.')}"


def inputs_of(program: torch.export.ExportedProgram) -> list[ProgramTensor]:
    """Return what a program takes, in the order of its arguments; inputs that are not tensors have no dimensions."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    return [_tensor(name, nodes.get(name)) for name in program.graph_signature.user_inputs if isinstance(name, str)]


def outputs_of(program: torch.export.ExportedProgram) -> dict[int, ProgramTensor]:
    """Return the tensors that a program returns, by their index among all that it returns."""
    spec = program.call_spec.out_spec
    paths, _ = tree_flatten_with_path(tree_unflatten(range(spec.num_leaves), spec))
    nodes = {node.name: node for node in program.graph.nodes}
    found: dict[int, ProgramTensor] = {}
    for (path, index), name in zip(paths, program.graph_signature.user_outputs, strict=True):
        node = nodes.get(name) if isinstance(name, str) else None
        if node is not None and isinstance(node.meta.get("val"), torch.Tensor):
            found[index] = _tensor(keystr(path), node)
    return found


def choose_output(outputs: dict[int, ProgramTensor], params: ModelParams) -> int:
    """Return the index of the output to use, and log it if there are several.

    Args:
        outputs: The tensors that the program returns.
        params: The model's parameters: they may name the output.

    Raises:
        LookupError: There is no such output; the message says which ones there are.
    """
    listed = "; ".join(map(str, outputs.values())) or "no tensor"
    if params.output_name is not None:
        index = _named(outputs, params.output_name)
        if index is None:
            raise LookupError(f"it does not return an output {params.output_name}, but {listed}")
        return index
    if params.output_index is not None:
        if params.output_index >= len(outputs):
            raise LookupError(f"it has no output {params.output_index}, counted from 0, but {listed}")
        return list(outputs)[params.output_index]
    if not outputs:
        raise LookupError("it does not return a tensor")
    preferred = (index for name in _PREFERRED if (index := _named(outputs, name)) is not None)
    chosen = next(preferred, next(iter(outputs)))
    if len(outputs) > 1:
        _log.info(
            "the program returns %s: using %s; output_name or output_index in params.yaml chooses another one",
            listed,
            outputs[chosen].name,
        )
    return chosen


def use_output(module: nn.Module, index: int) -> None:
    """Change the module of a program so that it takes images by position, and computes and returns one tensor only.

    Args:
        module: The module of an exported program that has one input.
        index: Index of the tensor among all that the program returns.
    """
    graph: Any = module.graph
    by_position = tree_structure(((0,), {}))
    info = graph._codegen.pytree_info
    if info.out_spec is not None:
        output = graph.output_node()
        output.args = (output.args[0][index],)
    graph._codegen.pytree_info = info._replace(in_spec=by_position, out_spec=None)
    # Heads whose outputs are not used need not be computed.
    graph.eliminate_dead_code()
    module.recompile()  # type: ignore[operator]


def _named(outputs: dict[int, ProgramTensor], name: str) -> int | None:
    return next((index for index, output in outputs.items() if output.name == f"['{name}']"), None)


def _tensor(name: str, node: Any) -> ProgramTensor:
    value = node.meta.get("val") if node is not None else None
    if not isinstance(value, torch.Tensor):
        return ProgramTensor(name, (), torch.float32)
    return ProgramTensor(name, tuple(value.shape), value.dtype)
