"""Transformations of exported programs that make them faster without changing their results."""

from __future__ import annotations

import torch
from torch import fx, nn

from cloudseg_ops.engine.network.fused_layers import can_fuse
from cloudseg_ops.engine.network.program_folding import fold_batch_norms
from cloudseg_ops.engine.network.program_fusion import fuse_layers
from cloudseg_ops.engine.network.program_graphs import (
    CONVOLUTIONS,
    MATRIX_PRODUCTS,
    copy_program,
    graph_modules,
    parameters_only_of,
    set_tensor,
    tensor_of,
)
from cloudseg_ops.engine.network.program_layout import lay_out_channels_last

_aten = torch.ops.aten
_ASSERTIONS = (_aten._assert_tensor_metadata.default,)
"""Assertions that a tensor has the type that it had during the export."""
_INACTIVE = (_aten.dropout.default, _aten.feature_dropout.default)
"""Operations that return their input, unless their third argument, `train`, is true."""


def prepare_program(program: nn.Module) -> int:
    """Make a loaded program faster, in place; its results differ by rounding only.

    Batch norms are folded into convolutions. The weights of convolutions are laid out channels last, as the images are:
    otherwise the CPU's and the GPU's libraries convert weights or activations in each pass.

    Args:
        program: The module of an exported program, on its device.

    Returns:
        The number of batch norms folded; their folded weights may be infinite although the originals were not.
    """
    folded = 0
    with torch.no_grad():
        for module in graph_modules(program):
            _remove_inactive(module)
            folded += fold_batch_norms(module)
            lay_out_channels_last(module)
    return folded


def with_bf16_convolutions(program: nn.Module, device: torch.device) -> nn.Module:
    """Copy a program, and convert the weights used only by convolutions and linear layers to bfloat16.

    This saves autocast the conversion of the weights in each pass. On a CPU, activations are fused into these layers.
    The results are identical.

    Args:
        program: The module of an exported program, with its weights in float32.
        device: Its device.
    """
    program = copy_program(program)
    for module in graph_modules(program):
        for name, parameter in parameters_only_of(module, (*CONVOLUTIONS, *MATRIX_PRODUCTS)).items():
            if parameter.dtype == torch.float32:
                set_tensor(module, name, parameter.detach().to(torch.bfloat16))
        if can_fuse(device):
            fuse_layers(module)
    return program


def in_bf16(program: nn.Module, device: torch.device) -> nn.Module:
    """Copy a program, and convert all its tensors to bfloat16, so that it computes in it if its input is bfloat16.

    Conversions to float32 in the program stay, and so do the operations that follow, up to the next one that autocast
    converts. Some programs fail in bfloat16, because an operation does not accept tensors of different types. On a CPU,
    activations are fused into convolutions and linear layers.

    Args:
        program: The module of an exported program, with its weights in float32.
        device: Its device.
    """
    program = copy_program(program)
    for module in graph_modules(program):
        names = {str(node.target): node for node in module.graph.nodes if node.op == "get_attr"}
        for name, node in names.items():
            tensor = tensor_of(module, node)
            if tensor is not None and tensor.dtype == torch.float32:
                set_tensor(module, name, tensor.detach().to(torch.bfloat16))
        _remove_assertions(module)
        if can_fuse(device):
            fuse_layers(module)
    return program


def _remove_inactive(module: fx.GraphModule) -> None:
    """Remove dropout, which does nothing in evaluation mode."""
    found = [node for node in module.graph.nodes if node.target in _INACTIVE and not node.args[2]]
    for node in found:
        node.replace_all_uses_with(node.args[0])
        module.graph.erase_node(node)
    if found:
        module.recompile()


def _remove_assertions(module: fx.GraphModule) -> None:
    found = [node for node in module.graph.nodes if node.target in _ASSERTIONS]
    for node in found:
        module.graph.erase_node(node)
    if found:
        module.recompile()
