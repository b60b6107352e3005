"""The built-in network architectures, as a table: adding one is an entry here, and its module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.imports import import_reference

EXPORTED = "exported"
"""Not built in: the weights file is a program that `torch.export.save` wrote."""

Arguments = Mapping[str, int]
"""`model.arguments` of params.yaml."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that cloudseg brings along; its weights are a state dict.

    Attributes:
        network: `module:class` of a `torch.nn.Module`, called with in_channels, n_classes and the arguments. It is
            imported by `load` alone: parameters are checked where there is no PyTorch.
        arguments: Names that `model.arguments` may have.
        stride: What heights and widths must be multiples of, given the arguments.
        narrowest: Arguments of the network with the same receptive field that computes fastest; it is measured on that.
            None: the receptive field is measured on the network itself.
    """

    network: str
    arguments: frozenset[str]
    stride: Callable[[Arguments], int]
    narrowest: Callable[[Arguments], dict[str, int]] | None = None

    def load(self) -> Callable[..., Any]:
        """Import the network's class."""
        loaded: Callable[..., Any] = import_reference(self.network)
        return loaded


_UNET_DEPTH = 4

ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture(
        network="cloudseg_ops.engine.network.networks:UNet",
        arguments=frozenset({"width", "depth"}),
        stride=lambda arguments: int(2 ** arguments.get("depth", _UNET_DEPTH)),
        # The receptive field of a U-Net does not depend on its width.
        narrowest=lambda arguments: {"width": 1, "depth": arguments.get("depth", _UNET_DEPTH)},
    ),
}
