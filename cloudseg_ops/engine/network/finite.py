"""Checks that weights and logits are finite: a NaN in the weights makes every mask wrong, and no retry changes that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from cloudseg_ops.contracts.errors import NonFiniteWeightsError

_NAMED = 3
_CHECKED = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def all_finite(values: torch.Tensor) -> torch.Tensor:
    """Return whether all values are finite, as a tensor of one bool on their device, without synchronizing."""
    # The minimum and the maximum are NaN if any value is, and one of them is infinite if any value is.
    least, largest = torch.aminmax(values)
    return torch.isfinite(least) & torch.isfinite(largest)


def require_finite_weights(
    where: str, tensors: Mapping[str, torch.Tensor], *, saved: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Check the weights of a built-in network.

    Args:
        where: The model, for the error message.
        tensors: The tensors to check, by name.
        saved: The tensors as the weights file has them, if their types may differ.

    Raises:
        NonFiniteWeightsError: Some values are NaN or infinite; the message names the tensors.
    """
    _raise(where, _not_finite(tensors), saved or tensors)


def require_finite_program(where: str, program: nn.Module) -> None:
    """Check the weights that an exported program uses.

    Buffers may be infinite, as the masks of attention are; parameters may not.

    Args:
        where: The model, for the error message.
        program: The module of an exported program.

    Raises:
        NonFiniteWeightsError: Some values are NaN or infinite; the message names the tensors.
    """
    graph = getattr(program, "graph", None)
    used = {str(node.target) for node in graph.nodes if node.op == "get_attr" and node.users} if graph else set()
    parameters = {name: tensor for name, tensor in program.named_parameters() if name in used}
    buffers = {name: tensor for name, tensor in program.named_buffers() if name in used}
    found = [*_not_finite(parameters), *(name for name in _not_finite(buffers) if _has_nan(buffers[name]))]
    _raise(where, found, {**parameters, **buffers})


def _not_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    checked = {name: tensor for name, tensor in tensors.items() if tensor.dtype in _CHECKED and tensor.numel()}
    if not checked:
        return []
    # Copied to the host once: on a GPU, each copy waits for the device.
    finite = torch.stack([all_finite(tensor.detach()) for tensor in checked.values()]).tolist()
    return [name for name, is_finite in zip(checked, finite, strict=True) if not is_finite]


def _has_nan(tensor: torch.Tensor) -> bool:
    return bool(torch.isnan(tensor).any())


def _raise(where: str, names: Iterable[str], tensors: Mapping[str, torch.Tensor]) -> None:
    names = list(names)
    if not names:
        return
    listed = ", ".join(_describe(name, tensors[name]) for name in names[:_NAMED]) + (
        ", …" if len(names) > _NAMED else ""
    )
    half = any(tensors[name].dtype == torch.float16 for name in names)
    cause = (
        "values above 65,504 become infinite when they are converted to float16: save the weights in float32"
        if half
        else "the training diverged, or the weights were damaged before they were tracked"
    )
    raise NonFiniteWeightsError(
        f"{where} cannot be used: {len(names)} of its {len(tensors)} tensors contain values that are NaN or infinite: "
        f"{listed}; {cause}. Nothing was segmented; use another revision, or train the model again"
    )


def _describe(name: str, tensor: torch.Tensor) -> str:
    bad = tensor.numel() - int(torch.isfinite(tensor).sum())
    return f"{name} ({bad} of {tensor.numel()} values, {str(tensor.dtype).removeprefix('torch.')})"
