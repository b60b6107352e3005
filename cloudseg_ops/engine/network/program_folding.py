"""Folds batch normalization into convolutions in the graph of an exported program."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from cloudseg_ops.engine.network.program_graphs import CONVOLUTIONS, arguments_of, remove_unused_tensors, tensor_of

_aten = torch.ops.aten
_NORMS = (_aten.batch_norm.default, _aten._native_batch_norm_legit_no_training.default)
"""As `torch.export` writes batch normalization, and as `run_decompositions` does: this one returns a tuple."""
_MEAN, _VARIANCE = ("running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class _Pair:
    """A batch norm and the convolution in front of it, with their tensors by argument."""

    convolution: fx.Node
    norm: fx.Node
    tensors: dict[str, torch.Tensor | None]
    epsilon: float
    transposed: bool


def fold_batch_norms(module: fx.GraphModule) -> int:
    """Fold each batch norm into the convolution in front of it: in evaluation mode, both are linear.

    Pairs are left as they are if the convolution's result is also used elsewhere, if the batch norm uses the statistics
    of the batch, or if their weights are computed in the graph.

    Returns:
        The number of batch norms folded.
    """
    pairs = [pair for node in module.graph.nodes if (pair := _find_pair(module, node))]
    replaced: set[str] = set()
    for number, pair in enumerate(pairs):
        replaced |= _fold(module, pair, f"folded_{number}")
    if pairs:
        remove_unused_tensors(module, replaced)
        module.recompile()
    return len(pairs)


def _find_pair(module: fx.GraphModule, norm: fx.Node) -> _Pair | None:
    if norm.op != "call_function" or norm.target not in _NORMS:
        return None
    found = arguments_of(norm)
    convolution = found["input"]
    if found.get("training") or convolution.target not in CONVOLUTIONS or _values_used_elsewhere(convolution, norm):
        return None
    given = arguments_of(convolution)
    transposed = convolution.target == _aten.conv_transpose2d.input or bool(given.get("transposed"))
    nodes = {"convolution": given["weight"], "convolution_bias": given["bias"]}
    nodes |= {name: found[name] for name in ("weight", "bias", _MEAN, _VARIANCE)}
    tensors = {name: tensor_of(module, node) for name, node in nodes.items()}
    constant = all(node is None or _is_float32(tensors[name]) for name, node in nodes.items())
    complete = all(tensors[name] is not None for name in ("convolution", _MEAN, _VARIANCE))
    if constant and complete and _returns_one_tensor(norm) and not (transposed and given["groups"] != 1):
        return _Pair(convolution, norm, tensors, float(found["eps"]), transposed)
    return None


def _values_used_elsewhere(convolution: fx.Node, norm: fx.Node) -> bool:
    """Return whether an operation other than the batch norm uses more of a convolution's result than its size."""
    return any(user is not norm and user.target is not _aten.sym_size.int for user in convolution.users)


def _is_float32(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.dtype == torch.float32


def _returns_one_tensor(norm: fx.Node) -> bool:
    """Return whether only the normalized values are used, not the statistics that some operations return, too."""
    if norm.target == _aten.batch_norm.default:
        return True
    return all(user.target is operator.getitem and user.args[1] == 0 for user in norm.users)


def _fold(module: fx.GraphModule, pair: _Pair, prefix: str) -> set[str]:
    """Fold a pair, and return the names of the tensors that it used."""
    tensors = pair.tensors
    weight, bias = fuse_conv_bn_weights(
        tensors["convolution"],  # type: ignore[arg-type]
        tensors["convolution_bias"],
        tensors[_MEAN],  # type: ignore[arg-type]
        tensors[_VARIANCE],  # type: ignore[arg-type]
        pair.epsilon,
        tensors["weight"],
        tensors["bias"],
        transpose=pair.transposed,
    )
    graph, convolution = module.graph, pair.convolution
    old = [node for node in (*convolution.all_input_nodes, *pair.norm.all_input_nodes) if node.op == "get_attr"]
    arguments = arguments_of(convolution)
    with graph.inserting_before(convolution):
        for name, tensor in (("weight", weight), ("bias", bias)):
            attribute = f"{prefix}_{name}"
            module.register_parameter(attribute, nn.Parameter(tensor.detach(), requires_grad=False))
            arguments[name] = graph.get_attr(attribute)
    convolution.args, convolution.kwargs = tuple(arguments.values()), {}
    _replace(graph, pair.norm, convolution)
    for node in dict.fromkeys(old):
        if not node.users:
            graph.erase_node(node)
    return {str(node.target) for node in old}


def _replace(graph: fx.Graph, norm: fx.Node, convolution: Any) -> None:
    if norm.target == _aten.batch_norm.default:
        norm.replace_all_uses_with(convolution)
    else:
        for user in list(norm.users):
            user.replace_all_uses_with(convolution)
            graph.erase_node(user)
    graph.erase_node(norm)
