"""Lets an exported program compute in the channels-last layout, which is the fastest one for convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cloudseg_ops.engine.network.program_graphs import CONVOLUTIONS, parameters_only_of, set_tensor

_aten = torch.ops.aten
_DEPEND_ON_LAYOUT = (
    _aten.as_strided.default,
    _aten.as_strided_.default,
    _aten.stride.int,
    _aten.stride.default,
    _aten.is_contiguous.default,
    _aten.view.dtype,
    _aten.view_as_complex.default,
    _aten.resize_.default,
    _aten.set_.source_Tensor,
)
"""Operations whose results, or whether they fail, depend on the memory layout of their input."""
_VIEWS = (_aten.view.default, _aten._unsafe_view.default)


def lay_out_channels_last(module: fx.GraphModule) -> bool:
    """Lay out the weights of convolutions channels last, as the images are, and let activations have any layout.

    With other weights, cuDNN and oneDNN convert weights or activations in each pass. A `view` of a tensor in another
    layout than during the export would fail: it becomes a `reshape`, which copies if it must. A conversion of
    activations to channels first is removed.

    Returns:
        Whether it was done: not if the program has operations that depend on the layout.
    """
    nodes = list(module.graph.nodes)
    if any(node.target in _DEPEND_ON_LAYOUT for node in nodes):
        return False
    views = [node for node in nodes if node.target in _VIEWS]
    conversions = [node for node in nodes if node.target is _aten.contiguous.default and len(node.args) == 1]
    aliases = _Aliases(nodes)
    if any(aliases.written_after(node) for node in (*views, *conversions)):
        return False
    for node in views:
        node.target = _aten.reshape.default
    for node in conversions:
        if not node.kwargs:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
    module.recompile()
    # Other parameters keep their layout: the program may take views of them that channels last does not support.
    for name, parameter in parameters_only_of(module, CONVOLUTIONS).items():
        if parameter.dim() == 4:
            # A copy, because weights of 1 × 1 convolutions are already contiguous in both layouts, and then their
            # strides say channels first.
            set_tensor(module, name, parameter.detach().clone(memory_format=torch.channels_last))
    return True


class _Aliases:
    """Which values of a graph share memory, and where it is written to."""

    def __init__(self, nodes: list[fx.Node]) -> None:
        self._order = {node: place for place, node in enumerate(nodes)}
        self._roots: dict[fx.Node, fx.Node] = {}
        self._last_write: dict[fx.Node, int] = {}
        for place, node in enumerate(nodes):
            returned = _alias_of_result(node)
            source = node.args[0] if returned and node.args else None
            root = self._roots[source] if isinstance(source, fx.Node) else node
            self._roots[node] = root
            if returned and returned.is_write:
                self._last_write[root] = place

    def written_after(self, node: fx.Node) -> bool:
        """Return whether memory that a view shares with values other than it is written to after the view is taken.

        If the view became a copy, the write would be missing in one of them.
        """
        source: Any = node.args[0]
        if len(source.users) == 1 and self._roots[source] is source:
            return False
        return self._last_write.get(self._roots[node], -1) > self._order[node]


def _alias_of_result(node: fx.Node) -> Any:
    """Return how an operation's first result shares memory with its first argument; None if it does not."""
    schema = getattr(node.target, "_schema", None)
    return schema.returns[0].alias_info if schema and schema.returns else None
