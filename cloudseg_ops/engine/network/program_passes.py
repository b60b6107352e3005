"""Transformations of exported programs that make them faster without changing their results."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from typing import Any

import torch
from torch import nn

_CONVOLUTIONS = (
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.conv_transpose2d.input,
    torch.ops.aten.convolution.default,
)
"""Operations of exported programs that autocast runs in bfloat16, including their weights and biases."""


def with_bf16_convolutions(program: nn.Module) -> nn.Module:
    """Copy an exported program, and convert the weights used only by convolutions to bfloat16.

    This saves autocast the conversion of the weights in each pass. The results are identical.

    Args:
        program: The module of an exported program, with its weights in float32.
    """
    # The copy shares all weights with the program except those that are converted.
    shared = {id(tensor): tensor for tensor in (*program.parameters(), *program.buffers())}
    with warnings.catch_warnings():
        # Copying a program's signature makes PyTorch report deprecations in its code, about which users can do nothing.
        warnings.simplefilter("ignore", FutureWarning)
        program = copy.deepcopy(program, dict(shared))
    for name, parameter in convolution_parameters(program).items():
        owner, _, leaf = name.rpartition(".")
        converted = nn.Parameter(parameter.to(torch.bfloat16), requires_grad=False)
        setattr(program.get_submodule(owner), leaf, converted)
    return program


def convolution_parameters(program: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters used only by convolutions, as weight or bias, by name."""
    graph = getattr(program, "graph", None)
    if graph is None:
        return {}
    only_convolutions: dict[str, bool] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            seen = only_convolutions.get(str(node.target), True)
            only_convolutions[str(node.target)] = seen and all(_is_weight_of(user, node) for user in node.users)
    parameters = dict(program.named_parameters(remove_duplicate=False))
    names = Counter(id(parameter) for parameter in parameters.values())
    return {
        name: parameter
        for name, parameter in parameters.items()
        # A tensor with a second name may be used elsewhere under that name.
        if only_convolutions.get(name) and names[id(parameter)] == 1
    }


def _is_weight_of(user: Any, node: Any) -> bool:
    """Return whether `user` is a convolution that takes `node` as its weight or bias, not as its input."""
    return user.target in _CONVOLUTIONS and node not in (user.args[0], user.kwargs.get("input"))
