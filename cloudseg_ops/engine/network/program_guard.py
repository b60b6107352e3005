"""Opens an exported program only after a look at what is in it."""

from __future__ import annotations

import contextlib
import importlib
import io
import operator
import os
from collections.abc import Collection, Iterator

import torch
from torch.export import ExportedProgram

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.program_check import check_program
from cloudseg_ops.contracts.program_names import check_operator
from cloudseg_ops.engine.network.program_types import register_output_types

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_FORCE_NOT = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_PASSIVE = frozenset({"placeholder", "output", "get_attr"})
_SHOWN = 120


def open_program(data: bytes, where: str, allowed: Collection[str] = ()) -> ExportedProgram:
    """Open what `torch.export.save` wrote, unless it could run code.

    Three lines of defense: the file is checked before PyTorch sees it; while PyTorch reads it, pickles that create
    other objects than tensors are refused (PyTorch would fall back to creating them); afterwards, each node must call
    an operator that is registered under an allowed name, not another attribute that the name happens to lead to.

    Args:
        data: The file's content.
        where: What it is and where, for error messages.
        allowed: Operators outside of aten that it may use, as `namespace::name` or `namespace::*`. The packages of
            these namespaces are imported if they are installed, because that registers their operators.

    Raises:
        UnsafeProgramError: It could run code; it was not opened, or not run.
        Exception: PyTorch's own, if it cannot open the program.
    """
    check_program(io.BytesIO(data), where, allowed)
    for namespace in sorted({name.partition("::")[0] for name in allowed}):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(namespace)
    register_output_types(data)
    with _weights_only():
        program = torch.export.load(io.BytesIO(data))
    _check_targets(program, where, allowed)
    return program


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """Make every torch.load of this process as strict as with `weights_only=True`."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORCE_NOT)}
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _check_targets(program: ExportedProgram, where: str, allowed: Collection[str]) -> None:
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            if node.op in _PASSIVE or node.target is operator.getitem:
                continue
            try:
                check_operator(_qualified_name(node.target), allowed)
            except ValueError as error:
                raise UnsafeProgramError(
                    f"{where} was not run: its node {node.name} calls {str(node.target)[:_SHOWN]}: {error}; export the "
                    "network again, without that"
                ) from None


def _qualified_name(target: object) -> str:
    """Return the name under which a function is registered, as `torch.export.save` writes it."""
    if isinstance(target, torch._ops.OpOverload):
        return f"torch.ops.{target}"
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"torch.ops.higher_order.{target}"
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', '')}"
