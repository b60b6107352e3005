"""Fuses the layers of a bfloat16 program with the activations behind them, by oneDNN on the CPU.

PyTorch's compiler does the same, but needs a C++ compiler. A fused activation does not read and write the layer's
result again; a fused bias is not copied to each row first.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import fx

from cloudseg_ops.engine.network.fused_layers import NOT_FUSED, RELU, Activation
from cloudseg_ops.engine.network.program_graphs import arguments_of, tensor_of

_aten = torch.ops.aten
_RELU = (_aten.relu.default, _aten.relu_.default)


def fuse_layers(module: fx.GraphModule) -> int:
    """Replace convolutions and linear layers whose weights are in bfloat16, with the ReLU or GELU behind them.

    ReLU6 is left alone: oneDNN's would hide NaN.

    Returns:
        The number of activations that were fused.
    """
    fused = 0
    for node in list(module.graph.nodes):
        if node.op != "call_function" or not _has_bf16_weight(module, node):
            continue
        following = _activation(node)
        activation = _fused_as(node, following)
        if node.target == _aten.conv2d.default:
            _replace_convolution(module.graph, node, activation)
        elif node.target == _aten.linear.default:
            _replace_linear(module.graph, node, activation)
        else:
            continue
        if following is not None and activation is not NOT_FUSED:
            following.replace_all_uses_with(cast("fx.Node", following.args[0]))
            module.graph.erase_node(following)
            fused += 1
    module.recompile()
    return fused


def _has_bf16_weight(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.target not in {_aten.conv2d.default, _aten.linear.default}:
        return False
    found = arguments_of(node)
    tensors = [tensor_of(module, found[name]) for name in ("weight", "bias") if found[name] is not None]
    return all(tensor is not None and tensor.dtype == torch.bfloat16 for tensor in tensors)


def _activation(node: fx.Node) -> fx.Node | None:
    """Return the only operation that uses a layer's result, sizes aside."""
    users = [user for user in node.users if user.target is not _aten.sym_size.int]
    return users[0] if len(users) == 1 and users[0].args[:1] == (node,) else None


def _fused_as(node: fx.Node, following: fx.Node | None) -> Activation:
    """Return oneDNN's name, arguments and algorithm of an activation."""
    if following is None:
        return NOT_FUSED
    if node.target == _aten.conv2d.default and following.target in _RELU:
        return RELU
    if node.target == _aten.linear.default and following.target == _aten.gelu.default:
        return ("gelu", [], str(following.kwargs.get("approximate", "none")))
    return NOT_FUSED


def _replace_convolution(graph: fx.Graph, node: fx.Node, activation: Activation) -> None:
    found = arguments_of(node)
    sizes = [_pair(found[name]) for name in ("padding", "stride", "dilation")]
    with graph.inserting_before(node):
        images = _in_bf16(graph, found["input"])
        arguments = (images, found["weight"], found["bias"], *sizes, found["groups"], *activation)
        new = graph.call_function(torch.ops.mkldnn._convolution_pointwise.default, arguments)
    node.replace_all_uses_with(new)
    graph.erase_node(node)


def _replace_linear(graph: fx.Graph, node: fx.Node, activation: Activation) -> None:
    found = arguments_of(node)
    with graph.inserting_before(node):
        arguments = (_in_bf16(graph, found["input"]), found["weight"], found["bias"], *activation)
        new = graph.call_function(torch.ops.mkldnn._linear_pointwise.default, arguments)
    node.replace_all_uses_with(new)
    graph.erase_node(node)


def _in_bf16(graph: fx.Graph, node: Any) -> fx.Node:
    """Convert an input, as autocast does for PyTorch's own operations; costs nothing if it is in bfloat16."""
    return graph.call_function(_aten.to.dtype, (node, torch.bfloat16))


def _pair(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * 2 if len(values) == 1 else values
