"""Reads and edits the graphs of exported programs: operations, their arguments, the tensors they use."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

CONVOLUTIONS = (
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.conv_transpose2d.input,
    torch.ops.aten.convolution.default,
)
MATRIX_PRODUCTS = (torch.ops.aten.linear.default,)


def graph_modules(program: nn.Module) -> Iterator[fx.GraphModule]:
    """Return the modules with a graph: an exported program is one, or contains one."""
    return (module for module in program.modules() if isinstance(module, fx.GraphModule))


def copy_program(program: nn.Module) -> nn.Module:
    """Copy a program; the copy shares all its tensors with the original."""
    shared = {id(tensor): tensor for tensor in (*program.parameters(), *program.buffers())}
    with warnings.catch_warnings():
        # Copying a program's signature makes PyTorch report deprecations in its code, about which users can do nothing.
        warnings.simplefilter("ignore", FutureWarning)
        return copy.deepcopy(program, dict(shared))


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of an operation by name, including defaults, in the order of its schema."""
    found: dict[str, Any] = {}
    for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        given = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        found[argument.name] = given
    return found


def tensor_of(module: fx.GraphModule, node: Any) -> torch.Tensor | None:
    """Return the parameter or buffer that a node reads, or None."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    owner, _, leaf = str(node.target).rpartition(".")
    found = getattr(module.get_submodule(owner), leaf, None)
    return found if isinstance(found, torch.Tensor) else None


def set_tensor(module: fx.GraphModule, name: str, tensor: torch.Tensor) -> None:
    """Replace a parameter or buffer by a dotted name."""
    owner, _, leaf = name.rpartition(".")
    holder = module.get_submodule(owner)
    parameter = leaf in holder._parameters
    setattr(holder, leaf, nn.Parameter(tensor, requires_grad=False) if parameter else tensor)


def remove_unused_tensors(module: fx.GraphModule, names: set[str]) -> None:
    """Free those of the named tensors that no node of the graph reads."""
    used = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    for name in names - used:
        owner, _, leaf = name.rpartition(".")
        delattr(module.get_submodule(owner), leaf)


def parameters_only_of(module: fx.GraphModule, operations: tuple[Any, ...]) -> dict[str, nn.Parameter]:
    """Return the parameters that only these operations use, as weight or bias, by name.

    Args:
        module: A module with a graph.
        operations: Operations whose first argument is the input.
    """
    exclusive: dict[str, bool] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            seen = exclusive.get(str(node.target), True)
            exclusive[str(node.target)] = seen and all(_is_weight_of(user, node, operations) for user in node.users)
    parameters = dict(module.named_parameters(remove_duplicate=False))
    names = Counter(id(parameter) for parameter in parameters.values())
    return {
        name: parameter
        for name, parameter in parameters.items()
        # A tensor with a second name may be used elsewhere under that name.
        if exclusive.get(name) and names[id(parameter)] == 1
    }


def _is_weight_of(user: fx.Node, node: fx.Node, operations: tuple[Any, ...]) -> bool:
    return user.target in operations and node not in (user.args[:1] or [user.kwargs.get("input")])
